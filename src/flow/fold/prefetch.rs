//! The next batch, filled while the one before it is committed.
//!
//! Owns the reader, the check of every delivery and the parsing. Must never hand out a message that does not follow the
//! one before it, nor more than a batch: the messages in memory are bounded, in number and in bytes, however long a
//! commit takes.

use std::time::Duration;

use super::app_events;
use super::source::Source;
use crate::bus::{Bus, Message, ReadError, Reader};
use crate::store::Cursor;
use rolekeeper_domain::dedup_window::message_hash;
use rolekeeper_domain::sequence_check::{Gap, SequenceCheck};

/// Messages parsed before yielding to the running commit: 64 take some tens of microseconds. More would delay each of
/// its round trips to Postgres.
const AT_A_STRETCH: usize = 64;

/// A batch takes no further messages from this many bytes on.
const MOST_BYTES: usize = 16 << 20;

/// Longest wait for a message that waits in the stream; after it, the messages at hand are committed without it.
const STALLED_AFTER: Duration = Duration::from_millis(50);

/// The messages that are committed in one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) content: Content,
    pub(super) last: Position,
    /// Hash of its last message.
    pub(super) last_hash: Option<i64>,
}

impl Batch {
    /// A batch of one message alone. With `keep` the message stays beside its event.
    pub(super) fn single(source: Source, message: Message, keep: bool) -> Self {
        let last = Position::of(&message);
        let last_hash = Some(hash(&message));
        let mut content = empty(source, 1);
        content.push(message, keep);
        Self {
            content,
            last,
            last_hash,
        }
    }

    /// Number of its messages.
    pub(super) fn len(&self) -> usize {
        match &self.content {
            Content::AppEvents(batch) => batch.len(),
            Content::Auth0Logs(messages) => messages.len(),
        }
    }
}

/// The messages of a batch, in the form that their stream needs.
#[derive(Debug)]
pub(super) enum Content {
    AppEvents(app_events::Batch),
    Auth0Logs(Vec<Message>),
}

impl Content {
    fn push(&mut self, message: Message, keep: bool) {
        match self {
            Self::AppEvents(batch) => batch.push(message, keep),
            Self::Auth0Logs(messages) => messages.push(message),
        }
    }
}

/// The last message of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) seq: u64,
    pub(super) stored_ns: i64,
    /// Messages behind it in the stream.
    pub(super) pending: u64,
}

impl Position {
    fn of(message: &Message) -> Self {
        Self {
            seq: message.seq,
            stored_ns: message.stored_ns,
            pending: message.pending,
        }
    }
}

/// The reason why filling stopped.
#[derive(Debug)]
pub(super) enum StopReason {
    Read(ReadError),
    /// A delivery did not follow the one before it.
    Gap(Gap),
}

/// Fills one batch after the other.
pub(super) struct Prefetch {
    source: Source,
    reader: Reader,
    check: SequenceCheck,
    most: usize,
    /// Each message stays beside its event.
    keep: bool,
    content: Content,
    last: Option<Position>,
    /// The last message of the last delivery, for its hash.
    newest: Option<Message>,
    filled: usize,
    filled_bytes: usize,
    ended: Option<StopReason>,
}

impl Prefetch {
    pub(super) fn new(source: Source, reader: Reader, cursor: &Cursor, most: usize, keep: bool) -> Self {
        Self {
            source,
            reader,
            check: SequenceCheck::new(&cursor.folded()),
            most,
            keep,
            content: empty(source, 0),
            last: None,
            newest: None,
            filled: 0,
            filled_bytes: 0,
            ended: None,
        }
    }

    /// Waits until there is a message to commit, or no more will come. Safe to cancel. While more than a batch waits in
    /// the stream, it continues until the batch is full: a few large transactions cost far less than many small ones.
    pub(super) async fn wait_for_first(&mut self) {
        while self.last.is_none() && self.ended.is_none() {
            self.fill(self.most).await;
        }
        while !self.is_full() && self.ended.is_none() && self.is_far_behind() {
            if tokio::time::timeout(STALLED_AFTER, self.fill(self.most))
                .await
                .is_err()
            {
                break;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.filled >= self.most || self.filled_bytes >= MOST_BYTES
    }

    /// Limits batches to this many messages, from the next batch on.
    pub(super) fn limit(&mut self, most: usize) {
        self.most = most;
    }

    /// Ends the reader, and its consumer at the server.
    pub(super) async fn close(self, bus: &Bus) {
        bus.close(self.reader).await;
    }

    fn is_far_behind(&self) -> bool {
        self.last.is_some_and(|last| last.pending > self.most as u64)
    }

    /// Fills until the batch is full, and then waits forever. Safe to cancel.
    pub(super) async fn fill_in_background(&mut self) {
        while !self.is_full() && self.ended.is_none() {
            self.fill(AT_A_STRETCH).await;
            // Often the running commit only waits to be polled.
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    }

    /// Returns the batch to commit, and the reason if no message comes after it.
    pub(super) fn take_batch(&mut self) -> (Option<Batch>, Option<StopReason>) {
        // The next batch is likely to be as large.
        let room = std::mem::take(&mut self.filled);
        self.filled_bytes = 0;
        let content = std::mem::replace(&mut self.content, empty(self.source, room));
        let newest = self.newest.take();
        let batch = self.last.take().map(|last| Batch {
            content,
            last,
            last_hash: newest.filter(|newest| newest.seq == last.seq).as_ref().map(hash),
        });
        (batch, self.ended.take())
    }

    /// Takes the messages that have arrived, at most `most`; waits for one if there is none.
    async fn fill(&mut self, most: usize) {
        let most = most.min(self.most.saturating_sub(self.filled)).max(1);
        let most_bytes = MOST_BYTES.saturating_sub(self.filled_bytes);
        match self.reader.next_batch(most, most_bytes).await {
            Ok(messages) => {
                self.newest = messages.last().cloned();
                for message in messages {
                    self.push(message);
                }
            }
            Err(why) => self.ended = Some(StopReason::Read(why)),
        }
    }

    fn push(&mut self, message: Message) {
        if self.ended.is_some() {
            return;
        }
        match self.check.delivery(message.seq) {
            Ok(()) => {
                self.filled += 1;
                self.filled_bytes += message.held_bytes();
                self.last = Some(Position::of(&message));
                self.content.push(message, self.keep);
            }
            Err(gap) => self.ended = Some(StopReason::Gap(gap)),
        }
    }
}

fn hash(message: &Message) -> i64 {
    message_hash(message.subject(), message.headers(), message.payload())
}

fn empty(source: Source, room: usize) -> Content {
    match source {
        Source::AppEvents => Content::AppEvents(app_events::Batch::with_room(room)),
        Source::Auth0Logs => Content::Auth0Logs(Vec::with_capacity(room)),
    }
}
