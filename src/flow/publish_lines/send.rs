//! Sends batch after batch, each until the stream has it.
//!
//! Owns how far the lines are stored. Must never begin a batch before the one before is acknowledged as a whole, and never guess
//! whether a line was stored.

use std::io::{BufReader, Read};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batches::{Batch, Batches, Checked};
use super::retry::{Limits, retried};
use crate::bus::{APP_EVENTS, Bus, Outgoing, PublishError, duplicate_window};
use crate::flow::line_file::Bad;

/// Batches that are read before they are sent.
const READ_AHEAD: usize = 2;
/// Time in which a message reaches the stream after it was sent.
const ON_THE_WAY: Duration = Duration::from_secs(10);

/// Longest time after which a line may be sent again: later, the stream may store it twice.
#[must_use]
pub fn sent_again_within() -> Duration {
    duplicate_window(APP_EVENTS).saturating_sub(ON_THE_WAY)
}

/// Sends the lines of a file.
#[derive(Clone, Debug)]
pub struct PublishLines {
    /// Connection to NATS.
    pub bus: Bus,
    /// Number of the first line to send.
    pub from: u64,
    /// The lines that were checked: no others are sent. None where lines are sent as they arrive.
    pub checked: Option<Checked>,
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
    /// When the first message of the last batch may have been sent; none if no message was.
    pub first_sent: Option<Instant>,
}

/// The reason why a run ended.
#[derive(Debug)]
pub enum End {
    /// All lines were read.
    Done,
    /// The file ends before the first line to send.
    NoLine,
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
        file: BufReader<impl Read + Send + 'static>,
        mut report: impl FnMut(&Sent, &[Bad]),
    ) -> (Sent, End) {
        let (batches, mut read) = mpsc::channel(READ_AHEAD);
        let (from, to) = (self.from, self.checked.map(|checked| checked.last));
        // A read of a pipe may never return, so it has a thread of its own.
        let _reading = tokio::task::spawn_blocking(move || {
            let mut lines = Batches::new(file, from, to);
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
                None => return (sent, self.end(&sent)),
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

    /// The end of the run once no line is left.
    fn end(&self, sent: &Sent) -> End {
        match self.checked {
            Some(checked) if sent.lines != checked.good => End::File(format!(
                "the file was changed while it was sent: {} lines were checked, {} were sent",
                checked.good, sent.lines
            )),
            _ if sent.through < self.from && self.from > 1 => End::NoLine,
            _ => End::Done,
        }
    }

    /// Sends a batch; returns the end of the run if there is one.
    async fn store(&self, batch: &Batch, sent: &mut Sent) -> Option<End> {
        (sent.tried, sent.first_sent) = (batch.last, None);
        let limits = Limits {
            retry_for: self.retry_for,
            window: sent_again_within(),
        };
        let delivered = retried(limits, &mut sent.first_sent, async |first_sent| {
            self.deliver(&batch.messages, first_sent).await
        });
        let stored = self.stop.run_until_cancelled(delivered).await;
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

    async fn deliver(
        &self,
        messages: &[Outgoing],
        first_sent: &mut Option<Instant>,
    ) -> Result<u64, PublishError> {
        if messages.is_empty() {
            return Ok(0);
        }
        let mut delivery = self.bus.delivery()?;
        first_sent.get_or_insert_with(Instant::now);
        for message in messages {
            delivery.send(message.clone()).await?;
        }
        let known = delivery.finish().await?;
        crash_point!("delivered");
        Ok(known)
    }
}
