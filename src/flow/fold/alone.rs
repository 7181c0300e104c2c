//! Messages that are handled one at a time, before a reader is opened.
//!
//! Owns the search for a message that ends a reader, a transaction or the process, and its removal from the way of the
//! messages behind it. Must never set a message aside that was not tried alone, nor without a dead letter that states
//! the reason.

use tokio::sync::MutexGuard;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::done::Done;
use super::leadership::{Hand, Leadership, LeadershipError};
use super::prefetch::{Batch, Position};
use super::progress::COMMIT_TIMEOUT;
use super::replaced;
use super::source::Source;
use crate::bus::{Stored, Which};
use crate::store::cursor_advance::{self, Move};
use crate::store::{CHECK_EVERY, DeadLetter, LockGuard, StoreError, dead_letters, fold_starts};
use rolekeeper_domain::event::Reason;

/// Consecutive process ends during the fold of one message alone after which that message is the cause.
const CRASHES: i32 = 3;
/// Consecutive starts at one cursor from which on a message there is suspected to end the process, and is searched for.
const CAREFUL_FROM: i32 = 2;

/// The result of handling messages alone.
pub(super) enum Settled {
    /// No message is left that must be handled alone.
    Done,
    /// Messages are missing right behind the cursor.
    Missing,
}

impl Leadership<'_> {
    /// Handles messages right behind the cursor one by one, as long as there is a reason to.
    pub(super) async fn settle(
        &self,
        hand: &mut Hand<'_>,
        last_seq: u64,
        stop: &CancellationToken,
    ) -> Result<Settled, LeadershipError> {
        let start = self.begin(hand).await?;
        let (mut careful, mut watched) = (0, 0);
        let mut _turn: Option<MutexGuard<'_, ()>> = None;
        if start.starts >= CAREFUL_FROM && last_seq > hand.cursor.last_seq.unsigned_abs() {
            // The messages in memory when the process ended: a batch being written, and the next one.
            careful = 2 * self.fold.batch;
            info!(
                stream = self.fold.source.stream(),
                starts = start.starts,
                "an earlier process ended before it folded anything after this cursor; folding {careful} messages one by one"
            );
            _turn = Some(self.turn(hand.lock).await?);
        }
        let mut crashed = start.alone >= CRASHES;
        while !stop.is_cancelled() {
            let at = hand.cursor.last_seq;
            let suspect = hand.progress.is_suspect(at);
            let refused = hand.progress.set_aside(at).map(str::to_owned);
            let last_try = hand.progress.is_last_try(at);
            let reason_given = suspect || crashed || refused.is_some() || last_try;
            if !reason_given && careful == 0 && watched == 0 {
                break;
            }
            let stream = self.fold.source.stream();
            let next = Which::At(at.unsigned_abs() + 1);
            let Some(stored) = self.fold.bus.fetch(stream, next).await? else {
                hand.progress.nothing_there();
                if last_seq > at.unsigned_abs() {
                    return Ok(Settled::Missing);
                }
                break;
            };
            let marked = careful > 0;
            careful = careful.saturating_sub(1);
            watched = if suspect {
                hand.progress.watch_more()
            } else {
                watched.saturating_sub(1)
            };
            if std::mem::take(&mut crashed) {
                let times = start.alone;
                let detail = format!("{times} processes in a row ended while they folded this message");
                self.bury(hand, &stored, Reason::CrashedWorker, detail).await?;
            } else if let Some(why) = refused {
                self.bury(hand, &stored, Reason::RefusedByDatabase, why).await?;
            } else if let Some(fault) = stored.fault() {
                self.bury(hand, &stored, Reason::Unparsable, fault).await?;
            } else {
                match self.fold_alone(hand, stored, last_seq, marked).await {
                    // Set aside at once: the cause of the delay may be gone in a moment.
                    Err(LeadershipError::Store(_)) if last_try && hand.progress.set_aside(at).is_some() => {}
                    folded => folded?,
                }
            }
        }
        Ok(Settled::Done)
    }

    /// Records the start, so that the next start can tell whether this one ended in order.
    async fn begin(&self, hand: &mut Hand<'_>) -> Result<fold_starts::Start, LeadershipError> {
        let mut tx = hand.lock.begin().await?;
        let stream = self.fold.source.stream();
        let start = fold_starts::begin(&mut tx, stream, hand.cursor.last_seq, self.fold.process).await?;
        tx.commit().await.map_err(StoreError::from)?;
        crash_point!("begun");
        Ok(start)
    }

    /// Records that the leadership ended in order. If Postgres does not accept that, the next start is careful without
    /// need.
    pub(super) async fn end(&self, lock: &mut LockGuard) -> Result<(), StoreError> {
        let mut tx = lock.begin().await?;
        fold_starts::end(&mut tx, self.fold.source.stream(), self.fold.process).await?;
        tx.commit().await?;
        crash_point!("ended");
        Ok(())
    }

    /// Waits until the other fold of this process is not searching: a process that ends then ends because of our
    /// message.
    async fn turn(&self, lock: &mut LockGuard) -> Result<MutexGuard<'_, ()>, LeadershipError> {
        loop {
            match tokio::time::timeout(CHECK_EVERY, self.fold.search.lock()).await {
                Ok(turn) => return Ok(turn),
                Err(_) => lock.check().await?,
            }
        }
    }

    async fn fold_alone(
        &self,
        hand: &mut Hand<'_>,
        stored: Stored,
        last_seq: u64,
        marked: bool,
    ) -> Result<(), LeadershipError> {
        let seq = stored.seq.cast_signed();
        // Marked once per process: an ordinary failure is retried by the same process.
        if marked && hand.progress.marked != Some(seq) {
            let mut tx = hand.lock.begin().await?;
            fold_starts::alone(&mut tx, self.fold.source.stream(), seq).await?;
            tx.commit().await.map_err(StoreError::from)?;
            crash_point!("marked");
            hand.progress.marked = Some(seq);
        }
        let keep = self.dedup_window(hand.cursor).is_some();
        let pending = last_seq.saturating_sub(stored.seq);
        let batch = Batch::single(self.fold.source, stored.into_message(pending), keep);
        self.write(hand, batch, std::future::pending()).await
    }

    /// Makes the message right behind the cursor a dead letter, and moves the cursor past it, in one transaction.
    async fn bury(
        &self,
        hand: &mut Hand<'_>,
        stored: &Stored,
        reason: Reason,
        detail: String,
    ) -> Result<(), LeadershipError> {
        let stream = self.fold.source.stream();
        let refused = reason == Reason::RefusedByDatabase;
        let seq = stored.seq.cast_signed();
        // The letter holds ASCII, whatever the subject holds: every database accepts that.
        let subject = stored.subject.escape_default().to_string();
        let letter = DeadLetter {
            seq,
            subject: &subject,
            reason,
            detail: detail.escape_default().to_string(),
            headers: stored.event_headers().map(|headers| headers.to_string()),
            payload: &stored.payload,
            size: stored.payload.len(),
            stored_ns: stored.stored_ns,
        };
        let to_hash = Some(stored.hash());
        let to = Move {
            stream,
            from: hand.cursor,
            last_seq: seq,
            last_stored_ns: stored.stored_ns,
            last_hash: to_hash,
            rules: &self.fingerprint,
        };
        let write = async {
            let mut tx = hand.lock.begin().await?;
            if !cursor_advance::advance(&mut tx, &to).await? {
                return Err(LeadershipError::Refused);
            }
            let has_room = dead_letters::keep(&mut tx, stream, std::slice::from_ref(&letter)).await?;
            if refused && !has_room {
                // So many messages cannot all be faulty, and without a letter they would be lost.
                return Err(LeadershipError::TooManyRefused(letter.detail.clone()));
            }
            if self.fold.source == Source::AppEvents {
                replaced::buried(&mut tx, stored).await?;
            }
            tx.commit().await.map_err(StoreError::from)?;
            crash_point!("buried");
            Ok(())
        };
        let written = tokio::time::timeout(COMMIT_TIMEOUT, write).await;
        let written = written.unwrap_or(Err(LeadershipError::CommitTimeout));
        if matches!(written, Err(LeadershipError::TooManyRefused(_))) {
            hand.progress.no_room();
        }
        written?;
        error!(
            stream,
            seq,
            reason = reason.as_str(),
            "message {seq} of {stream} became a dead letter ({}): {}",
            reason.as_str(),
            letter.detail
        );
        let was_suspect = hand.progress.is_suspect(hand.cursor.last_seq);
        (hand.cursor.last_seq, hand.cursor.last_stored_ns) = (seq, stored.stored_ns);
        hand.cursor.last_hash = to_hash;
        hand.progress.buried(seq, was_suspect, refused);
        let done = Done {
            messages: 1,
            rejected: vec![reason],
            ..Done::default()
        };
        let last = Position {
            seq: stored.seq,
            stored_ns: stored.stored_ns,
            pending: 0,
        };
        self.count(&done, &last, std::time::Duration::ZERO);
        if hand.progress.refuses_all() {
            self.refused(hand.cursor);
        } else {
            self.moved(hand.cursor);
        }
        Ok(())
    }
}
