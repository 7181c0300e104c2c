//! Commits one batch to Postgres, and draws conclusions from a failure.
//!
//! Owns the one transaction of cursor and facts. Must never commit facts without the cursor that explains them, nor
//! retry a batch that Postgres refused at its old size.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::done::Done;
use super::key_cache::KeyCache;
use super::leadership::{Hand, Leadership, LeadershipError};
use super::prefetch::{Batch, Content, Position};
use super::progress::COMMIT_TIMEOUT;
use super::{app_events, auth0_logs, dedup};
use crate::metrics::{Later, Stream};
use crate::store::cursor_advance::{self, Move};
use crate::store::{Cursor, Fault, LockGuard, StoreError, playlists};
use crate::traces::Span;
use rolekeeper_domain::date;

impl Leadership<'_> {
    /// Commits a batch, and runs `meanwhile` until that is done. A failure caused by the batch makes the next batch
    /// smaller.
    pub(super) async fn write(
        &self,
        hand: &mut Hand<'_>,
        batch: Batch,
        meanwhile: impl Future<Output = ()>,
    ) -> Result<(), LeadershipError> {
        let (before, count, last) = (hand.cursor.last_seq, batch.len(), batch.last);
        let started = Instant::now();
        let commit = self.commit(hand.lock, hand.cursor, hand.key_cache, batch);
        let commit = tokio::time::timeout(COMMIT_TIMEOUT, commit);
        let committed = tokio::select! {
            biased;
            committed = commit => committed.unwrap_or(Err(LeadershipError::CommitTimeout)),
            () = meanwhile => Err(LeadershipError::CommitTimeout),
        };
        let why = match committed {
            Ok(done) => {
                hand.progress
                    .committed(hand.cursor.last_seq, count, started.elapsed());
                self.count(&done, &last, started.elapsed());
                self.moved(hand.cursor);
                return Ok(());
            }
            Err(why) => why,
        };
        if let LeadershipError::Store(fault) = &why
            && playlists::is_key_taken(fault)
        {
            // No message caused this failure.
            let largest = playlists::repair_keys(hand.lock).await?;
            warn!(
                "the sequence playlist_keys was behind its table and now continues after {largest}: {fault}"
            );
            return Err(why);
        }
        let fault = match &why {
            LeadershipError::CommitTimeout => Some(Fault::TimedOut(why.to_string())),
            LeadershipError::Store(why) => why.fault(),
            _ => None,
        };
        let Some(fault) = fault else { return Err(why) };
        hand.progress
            .batch_failed(before, count, last.seq.cast_signed(), fault.clone());
        match (why, fault) {
            // Halving finds the refused message after a few batches.
            (LeadershipError::Store(why), Fault::Refused(_)) => Err(LeadershipError::Smaller(why)),
            (why, _) => Err(why),
        }
    }

    /// Commits a batch: the cursor first, then the facts that it explains.
    async fn commit(
        &self,
        lock: &mut LockGuard,
        cursor: &mut Cursor,
        key_cache: &mut KeyCache,
        batch: Batch,
    ) -> Result<Done, LeadershipError> {
        let stream = self.fold.source.stream();
        let Batch {
            content,
            last,
            last_hash,
        } = batch;
        let dedup_window = self.dedup_window(cursor);
        let (seq, stored_ns) = (last.seq.cast_signed(), last.stored_ns);
        let to = Move {
            stream,
            from: cursor,
            last_seq: seq,
            last_stored_ns: stored_ns,
            last_hash,
            rules: &self.fingerprint,
        };
        if dedup_window.is_none()
            && let Content::AppEvents(batch) = &content
            && let Some(done) = app_events::fold_on_fast_path(lock, &to, batch, &self.rules).await?
        {
            (cursor.last_seq, cursor.last_stored_ns, cursor.last_hash) = (seq, stored_ns, last_hash);
            return Ok(done);
        }
        let partitions = match (&content, dedup_window) {
            (Content::AppEvents(batch), Some(dedup_window)) => {
                Some(dedup::prepare(lock, dedup_window, &batch.read).await?)
            }
            _ => None,
        };
        let mut tx = lock.begin().await?;
        if !cursor_advance::advance(&mut tx, &to).await? {
            return Err(LeadershipError::Refused);
        }
        let key = self.fold.store.erasure_key();
        let done = match content {
            Content::AppEvents(batch) => {
                app_events::fold(&mut tx, batch, &self.rules, key, partitions.as_deref(), key_cache).await?
            }
            Content::Auth0Logs(messages) => {
                let own = auth0_logs::Own {
                    client: self.fold.own_client_id.as_deref(),
                    tenant: self.fold.tenant.as_ref(),
                };
                auth0_logs::fold(&mut tx, &messages, own, key).await?
            }
        };
        tx.commit().await.map_err(StoreError::from)?;
        crash_point!("committed");
        done.spans.iter().for_each(Span::succeeded);
        (cursor.last_seq, cursor.last_stored_ns, cursor.last_hash) = (seq, stored_ns, last_hash);
        Ok(done)
    }

    /// Notes that the cursor has moved: a fold that was not ready is ready again.
    pub(super) fn moved(&self, cursor: &Cursor) {
        let was_blocked = self.pulse.at(cursor);
        if was_blocked || !self.reported_ready.swap(true, Ordering::Relaxed) {
            self.fold.readiness.ready(self.fold.source.stage(), "active");
        }
    }

    /// Notes that the cursor has moved past messages that Postgres refuses in a row.
    pub(super) fn refused(&self, cursor: &Cursor) {
        self.pulse.at(cursor);
        self.reported_ready.store(false, Ordering::Relaxed);
        self.fold.readiness.not_ready(
            self.fold.source.stage(),
            "Postgres refuses several messages in a row, each on its own; the log has the reason",
        );
    }

    pub(super) fn count(&self, done: &Done, last: &Position, took: Duration) {
        let (stream, metrics) = (self.fold.source.stream(), &self.fold.metrics);
        let series = Stream(stream);
        metrics.folded.of(series).inc_by(done.messages);
        metrics.erased_dropped.of(series).inc_by(done.erased);
        metrics.duplicates_dropped.inc_by(done.duplicates);
        if done.below_zero > 0 {
            metrics.fold.below_zero.inc_by(done.below_zero);
            debug!(
                playlists = done.below_zero,
                "more plays were retracted than were counted"
            );
        }
        self.fold
            .other_tenant
            .committed(&done.other_tenant, &metrics.tenant_log);
        for reason in &done.rejected {
            metrics.dead_letters.of((series, *reason)).inc();
        }
        metrics.fold_seconds.of(series).observe(took.as_secs_f64());
        metrics
            .fold_lag_messages
            .of(series)
            .set(last.pending.cast_signed());
        let age = crate::clock::now() - date::of_unix_ns(last.stored_ns);
        let lag = if last.pending == 0 {
            0.0
        } else {
            age.as_seconds_f64().max(0.0)
        };
        metrics.fold_lag_seconds.of(series).set(lag);
        metrics
            .stream_last_message
            .of(Later(series))
            .set(last.stored_ns as f64 / 1e9);
    }
}
