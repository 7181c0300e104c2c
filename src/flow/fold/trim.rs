//! Removes folded messages from a stream, so that they do not fill it.
//!
//! Owns when that happens, and the measurement of the remaining room. Must never remove a message unless this stream is
//! the one to which the cursor in Postgres belongs, nor a message that a promoted replica may fold again, that the
//! duplicate window still needs, or that came after the oldest base.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::bases::{self, Wanted};
use super::leadership::LeadershipError;
use super::source::Source;
use super::stage::Fold;
use crate::bus::{Room, Which};
use crate::flow::retry_loop::RetryLoop;
use crate::metrics::Stream;
use crate::store::{Retained, Trimmable};
use rolekeeper_domain::dedup_window::DedupWindow;
use rolekeeper_domain::trim::{Growth, Seen};

/// Longest interval at which a stream is trimmed; shorter where the floor is shorter than a quarter of an hour.
const TRIM_EVERY: Duration = Duration::from_mins(1);
/// Rounds in one floor: this is the precision of the age of removed messages.
const ROUNDS_A_FLOOR: u32 = 15;
/// The shortest delay between two rounds.
const SHORTEST: Duration = Duration::from_millis(20);
/// Share of the room below which publishers are refused, or about to be.
const FULL: f64 = 0.01;

/// Trims while a fold holds its lock, and reports the room also while the fold is stopped; ends when it is dropped.
pub(super) fn spawn(fold: &Fold) -> JoinSet<()> {
    let trim = Trim {
        fold: fold.clone(),
        begun: Instant::now(),
        growth: Growth::default(),
        full: false,
        forgotten_to: 0,
    };
    let mut task = JoinSet::new();
    task.spawn(trim.run());
    task
}

struct Trim {
    fold: Fold,
    begun: Instant,
    growth: Growth,
    full: bool,
    /// Numbers of replaced messages before this sequence are removed.
    forgotten_to: i64,
}

impl Trim {
    async fn run(mut self) {
        let mut retry = RetryLoop::new("trim");
        // The leadership drops this task at its end.
        let never = CancellationToken::new();
        let every = (self.fold.trim.floor / ROUNDS_A_FLOOR).clamp(SHORTEST, TRIM_EVERY);
        loop {
            match self.round().await {
                Ok(()) => {
                    retry.succeeded();
                    tokio::time::sleep(every).await;
                }
                // The fold, which needs the stream as well, reports this.
                Err(LeadershipError::Bus(why)) => {
                    debug!("the stream was not trimmed: {why}");
                    tokio::time::sleep(every).await;
                }
                Err(why) => retry.wait(&why, &never).await,
            }
        }
    }

    async fn round(&mut self) -> Result<(), LeadershipError> {
        let stream = self.fold.source.stream();
        let room = self.fold.bus.room(stream).await?;
        let settings = self.fold.trim;
        let young = room.duplicate_window.saturating_add(settings.margin);
        if !room.state.denies_purge {
            let first_seq = room.state.first_seq.cast_signed();
            self.fold.store.mark_cursor(stream, first_seq).await?;
        }
        self.forget_retractions(&room).await?;
        let (young, old) = (before(&room, young), before(&room, settings.keep));
        let known = self
            .fold
            .store
            .trimmable(stream, settings.floor, young, old)
            .await?;
        let Some(known) = known else { return Ok(()) };
        let seen = self.see(&room, &known).await?;
        self.show(&room, &seen);
        let wanted = Wanted {
            first: seen.first_to_stay().filter(|_| !room.state.denies_purge),
            left: seen.left(),
            cursor: known.cursor.last_seq,
            waiting: seen.last_seq.saturating_sub(seen.cursor),
        };
        let for_bases = bases::renew(&self.fold, wanted).await?;
        self.forget_replaced(&room).await?;
        let first = wanted.first.map(|first| first.min(for_bases));
        let Some(first) = first.filter(|first| *first > room.state.first_seq) else {
            return Ok(());
        };
        // While a loss stands the operator may want to fold the remaining messages again.
        if self.fold.store.open_loss(stream).await?.is_none() && self.is_ours(&room, &known).await? {
            let removed = self.fold.bus.purge_before(stream, first).await?;
            crash_point!("purged");
            self.fold.metrics.room.trimmed.of(Stream(stream)).inc_by(removed);
            info!(
                stream,
                removed, first, "folded messages were removed from the stream"
            );
        }
        Ok(())
    }

    /// Removes retractions. One is remembered for as long as the stream may hold a copy of it, or a publisher may
    /// repeat it: the stream's age and the dedup window.
    async fn forget_retractions(&self, room: &Room) -> Result<(), LeadershipError> {
        let fold = &self.fold;
        if fold.source != Source::AppEvents || room.max_age.is_zero() {
            return Ok(());
        }
        // After a loss the operator may accept that the whole stream is folded again.
        if fold.store.open_loss(fold.source.stream()).await?.is_some() {
            return Ok(());
        }
        let dedup_window = fold.dedup_window.map_or(Duration::ZERO, DedupWindow::span);
        let kept = room
            .max_age
            .saturating_add(dedup_window.max(room.duplicate_window));
        let rows = fold.store.forget(Retained::Retractions, kept).await?;
        if rows > 0 {
            debug!(rows, "removed retractions that are older than the stream");
        }
        Ok(())
    }

    /// Removes the numbers of replaced messages that the stream no longer has.
    async fn forget_replaced(&mut self, room: &Room) -> Result<(), LeadershipError> {
        let first_seq = room.state.first_seq.cast_signed();
        if self.fold.source == Source::AppEvents && self.forgotten_to != first_seq {
            self.fold.store.forget_replaced(first_seq).await?;
            self.forgotten_to = first_seq;
        }
        Ok(())
    }

    async fn see(&self, room: &Room, known: &Trimmable) -> Result<Seen, LeadershipError> {
        let state = &room.state;
        let mut seen = Seen {
            first_seq: state.first_seq,
            last_seq: state.last_seq,
            messages: state.messages,
            bytes: state.bytes,
            max_bytes: u64::try_from(state.max_bytes).ok().filter(|most| *most > 0),
            cursor: known.cursor.last_seq.unsigned_abs(),
            if_needed: known
                .if_needed
                .map(i64::unsigned_abs)
                .filter(|_| !state.denies_purge),
            by_age: known.by_age.map(i64::unsigned_abs),
            acknowledged: None,
        };
        // Most rounds remove nothing, so consumers need not be listed.
        if seen.first_to_stay().is_some() {
            seen.acknowledged = self.fold.bus.acknowledged(self.fold.source.stream()).await?;
        }
        Ok(seen)
    }

    /// Whether the message at the cursor is the folded one: another stream, or an older copy of this one, holds
    /// messages that were not folded.
    async fn is_ours(&self, room: &Room, known: &Trimmable) -> Result<bool, LeadershipError> {
        let cursor = &known.cursor;
        if room.state.created_ns != cursor.created_ns {
            return Ok(false);
        }
        let stream = self.fold.source.stream();
        let last = Which::At(cursor.last_seq.unsigned_abs());
        let stored = self.fold.bus.fetch(stream, last).await?;
        Ok(stored.is_some_and(|stored| stored.stored_ns == cursor.last_stored_ns))
    }

    fn show(&mut self, room: &Room, seen: &Seen) {
        let stream = self.fold.source.stream();
        let metrics = &self.fold.metrics.room;
        let untrimmed = &metrics.untrimmed.of(Stream(stream));
        if room.state.denies_purge && untrimmed.get() == 0 {
            warn!(
                stream,
                "the stream has deny_purge and is not trimmed; `rolekeeper migrate` prints how to change that"
            );
        }
        untrimmed.set(i64::from(room.state.denies_purge));
        let seconds = self
            .growth
            .full_in_seconds(self.begun.elapsed(), seen.held_bytes(), seen.max_bytes);
        metrics.full_in_seconds.of(Stream(stream)).set(seconds);
        let full = seen.left().is_some_and(|left| left < FULL);
        metrics.full.of(Stream(stream)).set(i64::from(full));
        if full && !self.full {
            error!(
                stream,
                "the stream is full and publishers are refused: {:.0} of {} bytes are not folded, or too young to be \
                 removed. To make room: `rolekeeper migrate` with a larger limit",
                seen.held_bytes(),
                room.state.max_bytes
            );
        }
        self.full = full;
    }
}

/// The time `span` before the server's current time, Unix nanoseconds.
fn before(room: &Room, span: Duration) -> i64 {
    room.now_ns
        .saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}
