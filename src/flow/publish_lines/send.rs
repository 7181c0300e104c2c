//! Sends batch after batch, each until the stream has it.
//!
//! Owns how far the lines are stored. Must never begin a batch before the one before is acknowledged as a whole, and never guess
//! whether a line was stored.

use std::io::BufRead;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batches::{Bad, Batch, Batches};
use crate::bus::{Bus, Outgoing, PublishError};
use crate::flow::backoff::Reconnect;

/// Batches that are read before they are sent.
const READ_AHEAD: usize = 2;

/// Sends the lines of a file.
#[derive(Clone, Debug)]
pub struct PublishLines {
    /// Connection to NATS.
    pub bus: Bus,
    /// Number of the first line to send.
    pub from: u64,
    /// Whether bad lines are left out; otherwise the first one ends the run.
    pub skip_bad: bool,
    /// Longest time for which one batch is retried.
    pub retry_for: Duration,
    /// Ends the run.
    pub stop: CancellationToken,
}

/// How far the lines were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Lines that the stream has acknowledged.
    pub lines: u64,
    /// Those of them whose event id the stream knew already. A batch that was retried counts none.
    pub known: u64,
    /// Bad lines that were left out.
    pub bad: u64,
    /// Number of the line up to which all lines are stored, or were left out.
    pub through: u64,
    /// Number of the last line that may be stored too.
    pub tried: u64,
}

/// The reason why a run ended.
#[derive(Debug)]
pub enum End {
    /// All lines were read.
    Done,
    /// The stop was requested.
    Stopped,
    /// The stream did not store a line.
    NotStored(PublishError),
    /// The file cannot be read, or has a bad line.
    File(String),
}

impl PublishLines {
    /// Sends all lines of `file`. `report` is called with each bad line, and after each batch.
    pub async fn run(
        &self,
        file: impl BufRead + Send + 'static,
        mut report: impl FnMut(&Sent, &[Bad]),
    ) -> (Sent, End) {
        let (batches, mut read) = mpsc::channel(READ_AHEAD);
        let from = self.from;
        // A read of a pipe may never return, so it has a thread of its own.
        let _reading = tokio::task::spawn_blocking(move || {
            let mut lines = Batches::new(file, from);
            while let Some(batch) = lines.next().transpose() {
                let failed = batch.is_err();
                if batches.blocking_send(batch).is_err() || failed {
                    break;
                }
            }
        });
        let mut sent = Sent {
            through: from - 1,
            tried: from - 1,
            ..Sent::default()
        };
        loop {
            let Some(next) = self.stop.run_until_cancelled(read.recv()).await else {
                return (sent, End::Stopped);
            };
            let batch = match next {
                None => return (sent, End::Done),
                Some(Err(why)) => return (sent, End::File(why.to_string())),
                Some(Ok(batch)) => batch,
            };
            if let Some(bad) = batch.bad.first().filter(|_| !self.skip_bad) {
                let why = format!(
                    "line {} became bad while the file was sent: {}",
                    bad.line, bad.reject
                );
                return (sent, End::File(why));
            }
            if let Some(end) = self.store(&batch, &mut sent).await {
                return (sent, end);
            }
            report(&sent, &batch.bad);
        }
    }

    /// Sends a batch; returns the end of the run if there is one.
    async fn store(&self, batch: &Batch, sent: &mut Sent) -> Option<End> {
        sent.tried = batch.last;
        let stored = self.stop.run_until_cancelled(self.retried(&batch.messages)).await;
        match stored {
            None => return Some(End::Stopped),
            Some(Err(why)) => return Some(End::NotStored(why)),
            Some(Ok(known)) => sent.known += known,
        }
        sent.lines += batch.messages.len() as u64;
        sent.bad += batch.bad.len() as u64;
        sent.through = batch.last;
        None
    }

    async fn retried(&self, messages: &[Outgoing]) -> Result<u64, PublishError> {
        let (mut delays, since) = (Reconnect::new(), Instant::now());
        let mut first = true;
        loop {
            let connected = self.bus.is_connected();
            match self.deliver(messages).await {
                Ok(known) => return Ok(if first { known } else { 0 }),
                Err(why) if why.needs_operator() || since.elapsed() >= self.retry_for => return Err(why),
                Err(why) => tracing::debug!("{why}; retrying"),
            }
            first &= !connected;
            tokio::time::sleep(delays.next_delay()).await;
        }
    }

    async fn deliver(&self, messages: &[Outgoing]) -> Result<u64, PublishError> {
        if messages.is_empty() {
            return Ok(0);
        }
        let mut delivery = self.bus.delivery()?;
        for message in messages {
            delivery.send(message.clone()).await?;
        }
        delivery.finish().await
    }
}
