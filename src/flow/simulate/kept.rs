//! The kept messages of `APP_EVENTS`, in order.
//!
//! Owns the reader of one pass: a lost connection ends a reader, and the next one begins after the last message. Must never leave
//! a consumer behind.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::SimulateError;
use crate::bus::{APP_EVENTS, Bus, Message, ReadError, Reader};
use crate::flow::backoff::Reconnect;

/// Messages of one pull request, and of one batch.
const BATCH: usize = 2_000;
/// Bytes after which a batch ends.
const BATCH_BYTES: usize = 2 << 20;
/// Longest wait for a message that the stream holds.
const WITHIN: Duration = Duration::from_secs(30);
/// Failures in a row after which the pass ends.
const FAILURES: u32 = 8;

/// The messages of one pass.
pub(super) struct Kept<'a> {
    bus: &'a Bus,
    reader: Option<Reader>,
    /// The next message, and the last one.
    next: u64,
    last: u64,
    pull: usize,
    delays: Reconnect,
    failures: u32,
    stop: CancellationToken,
}

impl<'a> Kept<'a> {
    pub(super) fn new(bus: &'a Bus, (first, last): (u64, u64), stop: CancellationToken) -> Self {
        Self {
            bus,
            reader: None,
            next: first,
            last,
            pull: BATCH,
            delays: Reconnect::new(),
            failures: 0,
            stop,
        }
    }

    /// The next messages; none after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Message>>, SimulateError> {
        while self.next <= self.last {
            let stop = self.stop.clone();
            let read = stop.run_until_cancelled(self.read()).await;
            match read.ok_or(SimulateError::Interrupted)? {
                Ok(mut batch) => {
                    let ends = batch.last().is_none_or(|last| last.pending == 0);
                    batch.retain(|message| message.seq <= self.last);
                    self.next = batch.last().map_or(self.last, |last| last.seq) + 1;
                    if ends {
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
                let reader = self.bus.reader(APP_EVENTS, self.next, self.pull);
                let reader = Box::pin(reader).await;
                none.insert(reader.map_err(|why| ReadError::Ended(why.to_string()))?)
            }
        };
        let read = reader.next_batch(BATCH, BATCH_BYTES);
        let read = tokio::time::timeout(WITHIN, read).await;
        read.unwrap_or_else(|_| Err(ReadError::Ended("no message arrived in 30 s".to_owned())))
    }

    async fn failed(&mut self, why: &ReadError) -> Result<(), SimulateError> {
        self.close().await;
        if let ReadError::BatchTooLarge(most) = why {
            self.pull = *most;
        }
        self.failures += 1;
        if self.failures >= FAILURES {
            return Err(SimulateError::Read {
                from: self.next,
                why: why.to_string(),
            });
        }
        let wait = tokio::time::sleep(self.delays.next_delay());
        let waited = self.stop.run_until_cancelled(wait).await;
        waited.ok_or(SimulateError::Interrupted)
    }
}
