//! The way of one leadership.
//!
//! Owns the order inside a leadership: rules, lock, loss, cursor, messages that are handled alone, reader, then batch
//! after batch. Must never continue behind a gap, and never leave a consumer behind.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::alone::Settled;
use super::key_cache::KeyCache;
use super::leadership::{Hand, Leadership, LeadershipEnd, LeadershipError, STOPPED_POLL};
use super::prefetch::{Prefetch, StopReason};
use super::progress::Progress;
use super::source::Source;
use super::trim;
use super::watch::POLL_INTERVAL;
use crate::bus::{ReadError, StreamState};
use crate::flow::retry_loop::RetryLoop;
use crate::metrics::Stream;
use crate::store::{CHECK_EVERY, Cursor};
use rolekeeper_domain::sequence_check::Gap;

/// Longest wait to record that a leadership ended in order.
const END_WITHIN: Duration = Duration::from_secs(2);

impl Leadership<'_> {
    /// Runs one leadership as the holder of the lock.
    pub(super) async fn run(
        mut self,
        progress: &mut Progress,
        retry: &mut RetryLoop,
        stop: &CancellationToken,
    ) -> Result<LeadershipEnd, LeadershipError> {
        let stage = self.fold.source.stage();
        // Checked before the lock: a worker that does not know the rules in force takes no lock, and is not ready.
        if !self.fold.store.rules_are_in_force(&self.fingerprint).await? {
            // Other rules came into force a moment ago; this worker is about to read them.
            let _ = tokio::time::timeout(STOPPED_POLL, self.changed.changed()).await;
            return Ok(LeadershipEnd::OtherRules);
        }
        // Also before the lock: another worker may be connected.
        self.fold.bus.connected()?;
        let Some(mut lock) = self.fold.store.try_lock(self.fold.source.lock()).await? else {
            retry.succeeded();
            self.fold.readiness.ready(stage, "standby");
            return Ok(LeadershipEnd::Standby);
        };
        let _trimming = trim::spawn(self.fold);
        let stream = self.fold.source.stream();
        // Read before the loss: a loss that is recorded later raises the epoch, and this cursor commits nothing.
        let stored = self.fold.store.cursor(stream).await?;
        if let Some(loss) = self.fold.store.open_loss(stream).await? {
            if let Some(cursor) = &stored {
                // The number of messages behind the loss is shown meanwhile.
                self.pulse.at(cursor);
            }
            self.stopped(&loss, &mut lock, stop).await?;
            return Ok(LeadershipEnd::Stopped);
        }
        let (mut cursor, state) = self.open(stored).await?;
        progress.opened(&cursor);
        if self.judge(&cursor, &state).await?.is_some() {
            return self.lose(&mut lock, &cursor, stop).await;
        }
        let mut hand = Hand {
            lock: &mut lock,
            cursor: &mut cursor,
            key_cache: &mut KeyCache::new(),
            progress,
        };
        let ended = self.active(&mut hand, retry, &state, stop).await;
        match tokio::time::timeout(END_WITHIN, self.end(hand.lock)).await {
            Ok(Ok(())) => hand.progress.marked = None,
            Ok(Err(why)) => debug!("the end of the leadership was not recorded: {why}"),
            Err(_) => debug!("the end of the leadership was not recorded: no response"),
        }
        ended
    }

    /// The part of a leadership in which messages are folded.
    async fn active(
        &mut self,
        hand: &mut Hand<'_>,
        retry: &mut RetryLoop,
        state: &StreamState,
        stop: &CancellationToken,
    ) -> Result<LeadershipEnd, LeadershipError> {
        let stream = self.fold.source.stream();
        self.pulse.at(hand.cursor);
        self.pulse.ends_at(state.last_seq);
        if !hand.progress.is_failing() || state.last_seq == hand.cursor.last_seq.unsigned_abs() {
            self.reported_ready.store(true, Ordering::Relaxed);
            self.fold.readiness.ready(self.fold.source.stage(), "active");
        }
        self.fold.metrics.fold_active.of(Stream(stream)).set(1);
        info!(stream, seq = hand.cursor.last_seq, "folding from the cursor on");
        let before = hand.cursor.last_seq;
        if let Settled::Missing = self.settle(hand, state.last_seq, stop).await? {
            return self.lose(hand.lock, hand.cursor, stop).await;
        }
        if stop.is_cancelled() {
            return Ok(LeadershipEnd::Stopping);
        }
        if hand.cursor.last_seq > before {
            retry.succeeded();
        }
        let from = hand.cursor.last_seq.unsigned_abs() + 1;
        let reader = self
            .fold
            .deliveries
            .reader(stream, from, hand.progress.pull())
            .await?;
        let keep = self.dedup_window(hand.cursor).is_some();
        let most = hand.progress.batch();
        let mut prefetch = Prefetch::new(self.fold.source, reader, hand.cursor, most, keep);
        let ended = self.follow_judged(hand, &mut prefetch, retry, stop).await;
        // Not on the connection of the deliveries, which may itself have ended.
        prefetch.close(&self.fold.bus).await;
        if let Err(LeadershipError::Read(_)) = &ended {
            hand.progress.reader_ended(before, hand.cursor.last_seq);
        }
        ended
    }

    /// Follows the reader, unless the stream was replaced before it was opened: its messages would follow the cursor by their
    /// sequences alone. A stream that is replaced later ends the reader.
    async fn follow_judged(
        &mut self,
        hand: &mut Hand<'_>,
        prefetch: &mut Prefetch,
        retry: &mut RetryLoop,
        stop: &CancellationToken,
    ) -> Result<LeadershipEnd, LeadershipError> {
        let state = self.fold.bus.stream_state(self.fold.source.stream()).await?;
        if self.judge(hand.cursor, &state).await?.is_some() {
            return self.lose(hand.lock, hand.cursor, stop).await;
        }
        self.follow(hand, prefetch, retry, stop).await
    }

    /// Folds batch after batch, until the reader or the leadership ends.
    async fn follow(
        &mut self,
        hand: &mut Hand<'_>,
        prefetch: &mut Prefetch,
        retry: &mut RetryLoop,
        stop: &CancellationToken,
    ) -> Result<LeadershipEnd, LeadershipError> {
        let mut polled_at = Instant::now();
        loop {
            let quiet = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(LeadershipEnd::Stopping),
                _ = self.changed.changed() => return Ok(LeadershipEnd::OtherRules),
                () = prefetch.wait_for_first() => false,
                () = tokio::time::sleep(CHECK_EVERY) => {
                    hand.lock.check().await?;
                    true
                }
            };
            self.fold.readiness.alive(self.fold.source.stage());
            let (batch, ended) = prefetch.take_batch();
            if let Some(batch) = batch {
                // The next batch is parsed while Postgres works on this one.
                self.write(hand, batch, prefetch.fill_in_background()).await?;
                self.end_dedup(hand).await?;
                prefetch.limit(hand.progress.batch());
                // Not before: a batch that can never be committed would be retried without a delay.
                retry.succeeded();
            }
            match ended {
                None => {}
                Some(StopReason::Read(why)) => return Err(why.into()),
                Some(StopReason::Gap(Gap { expected, got })) => {
                    info!(
                        stream = self.fold.source.stream(),
                        expected, got, "messages seem to be missing"
                    );
                    return self.lose(hand.lock, hand.cursor, stop).await;
                }
            }
            if quiet
                && (polled_at.elapsed() >= POLL_INTERVAL || hand.progress.is_failing() || retry.is_failing())
            {
                polled_at = Instant::now();
                let state = self.fold.bus.stream_state(self.fold.source.stream()).await?;
                self.check_transform(&state)?;
                let last_seq = state.last_seq;
                if last_seq > hand.cursor.last_seq.unsigned_abs() {
                    return Err(ReadError::Behind(last_seq).into());
                }
                // No message waits, and the reader is alive.
                hand.progress.is_well();
                retry.succeeded();
                self.reported_ready.store(false, Ordering::Relaxed);
                self.moved(hand.cursor);
            }
        }
    }

    /// Finds the state of the stream, and its first cursor if it has none.
    async fn open(&self, stored: Option<Cursor>) -> Result<(Cursor, StreamState), LeadershipError> {
        let stream = self.fold.source.stream();
        let state = self.fold.bus.stream_state(stream).await?;
        self.check_transform(&state)?;
        for difference in &state.differences {
            warn!(
                stream,
                "the stream's configuration is wrong: {difference}; run `rolekeeper migrate`"
            );
        }
        self.fold.show_stream(&state);
        let cursor = match stored {
            Some(cursor) => cursor,
            None => self.first_cursor(&state).await?,
        };
        Ok((cursor, state))
    }

    /// Checks the transform: without it the stream would give every playlist a subject of its own.
    fn check_transform(&self, state: &StreamState) -> Result<(), LeadershipError> {
        self.fold.bus.check_server()?;
        if self.fold.source == Source::AppEvents && !state.has_transform {
            return Err(LeadershipError::NoTransform);
        }
        Ok(())
    }

    /// The cursor of a stream that was never folded: all its messages are new.
    async fn first_cursor(&self, state: &StreamState) -> Result<Cursor, LeadershipError> {
        let stream = self.fold.source.stream();
        let start = state.extent().start();
        if start.last_seq > 0 {
            warn!(
                stream,
                "first start: the stream begins at {}, earlier messages are not counted", state.first_seq
            );
        }
        self.fold
            .store
            .first_cursor(stream, start.created_ns, start.last_seq.cast_signed())
            .await?;
        self.fold
            .store
            .cursor(stream)
            .await?
            .ok_or(LeadershipError::Refused)
    }
}
