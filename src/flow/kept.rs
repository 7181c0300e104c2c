//! The kept messages of `APP_EVENTS`, in order.
//!
//! Owns the reader of one pass: a lost connection ends a reader, and the next one begins after the last message. Must never leave
//! a consumer behind.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::backoff::Reconnect;
use crate::bus::{APP_EVENTS, Bus, Message, ReadError, Reader};

/// Messages of one pull request, and of one batch.
const BATCH: usize = 2_000;
/// Bytes after which a batch ends.
const BATCH_BYTES: usize = 2 << 20;
/// Longest wait for a message that the stream holds.
const WITHIN: Duration = Duration::from_secs(30);
/// Failures in a row after which the pass ends.
const FAILURES: u32 = 8;

/// The reason why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The stream could not be read.
    #[error("APP_EVENTS cannot be read from message {from} on: {why}")]
    Read {
        /// The next message.
        from: u64,
        /// Text of the last error.
        why: String,
    },
    /// The stop was requested.
    #[error("interrupted: nothing was changed; run the command again")]
    Interrupted,
}

/// The messages of one pass.
pub(super) struct Kept<'a> {
    bus: &'a Bus,
    /// Subjects to read; all without one.
    filter: Option<String>,
    reader: Option<Reader>,
    /// The next message, and the last one.
    next: u64,
    last: u64,
    /// A message that the pass must reach, if it is not after the last one.
    reach: u64,
    pull: usize,
    delays: Reconnect,
    failures: u32,
    stop: CancellationToken,
}

impl<'a> Kept<'a> {
    pub(super) fn new(bus: &'a Bus, (first, last): (u64, u64), stop: CancellationToken) -> Self {
        Self {
            bus,
            filter: None,
            reader: None,
            next: first,
            last,
            reach: 0,
            pull: BATCH,
            delays: Reconnect::new(),
            failures: 0,
            stop,
        }
    }

    /// The same, of the subjects that the filter names.
    pub(super) fn of(self, filter: Option<String>) -> Self {
        Self { filter, ..self }
    }

    /// The same, of a pass that is complete only with this message: a replica of the stream that is behind holds fewer than its
    /// leader, and says that nothing more is there.
    pub(super) fn reaching(self, reach: u64) -> Self {
        Self { reach, ..self }
    }

    /// The next messages; none after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Message>>, KeptError> {
        while self.next <= self.last {
            let stop = self.stop.clone();
            let read = stop.run_until_cancelled(self.read()).await;
            match read.ok_or(KeptError::Interrupted)? {
                Ok(mut batch) => {
                    let ends = batch.last().is_none_or(|last| last.pending == 0);
                    let seen = batch.last().map_or(self.next - 1, |last| last.seq);
                    let is_behind = ends && seen < self.reach.min(self.last);
                    if is_behind && batch.is_empty() {
                        self.failed(&ReadError::Behind(seen)).await?;
                        continue;
                    }
                    batch.retain(|message| message.seq <= self.last);
                    self.next = batch.last().map_or(self.last, |last| last.seq) + 1;
                    if is_behind {
                        // The next reader may be at another replica.
                        self.close().await;
                    } else if ends {
                        self.next = self.last + 1;
                    }
                    self.failures = 0;
                    self.delays.reset();
                    return Ok(Some(batch).filter(|batch| !batch.is_empty()));
                }
                Err(why) => self.failed(&why).await?,
            }
        }
        Ok(None)
    }

    /// Ends the pass.
    pub(super) async fn close(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.bus.close(reader).await;
        }
    }

    async fn read(&mut self) -> Result<Vec<Message>, ReadError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let filter = self.filter.as_deref();
                let reader = self.bus.reader_of(APP_EVENTS, filter, self.next, self.pull);
                let reader = Box::pin(reader).await;
                none.insert(reader.map_err(|why| ReadError::Ended(why.to_string()))?)
            }
        };
        if reader.waiting() == 0 {
            return Ok(Vec::new());
        }
        let read = reader.next_batch(BATCH, BATCH_BYTES);
        let read = tokio::time::timeout(WITHIN, read).await;
        read.unwrap_or_else(|_| Err(ReadError::Ended("no message arrived in 30 s".to_owned())))
    }

    async fn failed(&mut self, why: &ReadError) -> Result<(), KeptError> {
        self.close().await;
        if let ReadError::BatchTooLarge(most) = why {
            self.pull = *most;
        }
        self.failures += 1;
        if self.failures >= FAILURES {
            return Err(KeptError::Read {
                from: self.next,
                why: why.to_string(),
            });
        }
        let wait = tokio::time::sleep(self.delays.next_delay());
        let waited = self.stop.run_until_cancelled(wait).await;
        waited.ok_or(KeptError::Interrupted)
    }
}
