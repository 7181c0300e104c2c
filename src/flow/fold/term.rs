//! One term as the worker that folds a stream.
//!
//! Owns the order inside a term: lock, rules, loss, cursor, reader, then batch after batch. Must never commit
//! facts without the cursor that explains them, and never go on behind a gap.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::filling::{Batch, Content, Ended, Filling, Last};
use super::follow::{self, Broken, Lost};
use super::numbers::Numbers;
use super::{Done, Fold, STOPPED_POLL, app_events, at, auth0_logs, repeats};
use crate::bus::{BusError, ReadError, Reader, StreamState};
use crate::domain::rule::Rules;
use crate::flow::patience::Patience;
use crate::store::cursors::{self, Move};
use crate::store::{CHECK_EVERY, Cursor, Held, Loss, LossKind, StoreError, Wake};

/// Longest one transaction may take; past it the connection is taken for dead.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(90);
/// How often the stream is asked how full it is.
const STREAM_LOOK_EVERY: Duration = Duration::from_secs(15);

/// Why a term ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum TermError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("reading {0}")]
    Read(#[from] ReadError),
    #[error("the cursor is not where it was left, or other rules are in force; nothing was committed")]
    Refused,
    #[error("no answer to a commit in {COMMIT_TIMEOUT:?}")]
    CommitTimeout,
}

/// How a term ended in order.
pub(super) enum TermEnd {
    Stopping,
    Standby,
    Stopped,
    OtherRules,
}

/// One term: a fold under the rules of its time.
pub(super) struct Term<'f> {
    fold: &'f Fold,
    rules: Arc<Rules>,
    fingerprint: String,
    /// Tells that the rules are other ones now.
    changed: watch::Receiver<Arc<Rules>>,
}

impl<'f> Term<'f> {
    pub(super) fn new(fold: &'f Fold) -> Self {
        let mut changed = fold.rules.clone();
        let rules = Arc::clone(&changed.borrow_and_update());
        Self {
            fold,
            fingerprint: rules.fingerprint(),
            rules,
            changed,
        }
    }

    /// One term as the holder of the lock.
    pub(super) async fn run(
        mut self,
        patience: &mut Patience,
        stop: &CancellationToken,
    ) -> Result<TermEnd, TermError> {
        let stage = self.fold.source.stage();
        // Before the lock: a worker that does not know the rules in force takes none, and is not ready.
        if !self.fold.store.rules_are_in_force(&self.fingerprint).await? {
            // Others are, since a moment: this worker is about to read them.
            let _ = tokio::time::timeout(STOPPED_POLL, self.changed.changed()).await;
            return Ok(TermEnd::OtherRules);
        }
        let Some(mut held) = self.fold.store.try_lock(self.fold.source.lock()).await? else {
            patience.succeeded();
            self.fold.readiness.ready(stage, "standby");
            return Ok(TermEnd::Standby);
        };
        if let Some(loss) = self.fold.store.open_loss(self.fold.source.stream()).await? {
            self.stopped(&loss, &mut held, stop).await?;
            return Ok(TermEnd::Stopped);
        }
        let (mut cursor, reader) = match self.open().await? {
            Ok(opened) => opened,
            Err(lost) => return self.lose(lost).await,
        };
        self.fold.readiness.ready(stage, "active");
        self.fold
            .metrics
            .fold_active
            .with_label_values(&[self.fold.source.stream()])
            .set(1);
        info!(
            stream = self.fold.source.stream(),
            seq = cursor.last_seq,
            "folding from the cursor on"
        );
        let keep = self.fold.dedup_horizon.is_some();
        let mut filling = Filling::new(self.fold.source, reader, &cursor, self.fold.batch, keep);
        let mut numbers = Numbers::new();
        let mut looked = Instant::now();
        loop {
            let quiet = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(TermEnd::Stopping),
                _ = self.changed.changed() => return Ok(TermEnd::OtherRules),
                () = filling.some() => false,
                () = tokio::time::sleep(CHECK_EVERY) => {
                    held.check().await?;
                    true
                }
            };
            let (batch, ended) = filling.take();
            if let Some(batch) = batch {
                let commit = self.commit(&mut held, &mut cursor, &mut numbers, batch);
                let commit = tokio::time::timeout(COMMIT_TIMEOUT, commit);
                // The next batch is parsed while Postgres works on this one.
                tokio::select! {
                    biased;
                    committed = commit => committed.map_err(|_| TermError::CommitTimeout)??,
                    () = filling.on() => {}
                }
                // Not before: a batch that can never be committed would be tried again without a pause.
                patience.succeeded();
            } else if quiet {
                patience.succeeded();
            }
            match ended {
                None => {}
                Some(Ended::Read(why)) => return Err(why.into()),
                Some(Ended::Broken(broken)) => return self.lose(self.name(broken).await?).await,
            }
            if looked.elapsed() >= STREAM_LOOK_EVERY {
                let state = self.fold.bus.stream_state(self.fold.source.stream()).await?;
                self.show_stream(&state);
                if quiet && state.last_seq > cursor.last_seq.unsigned_abs() {
                    return Err(ReadError::Behind(state.last_seq).into());
                }
                looked = Instant::now();
            }
        }
    }

    /// Finds the cursor and opens a reader at it; or says what was lost.
    async fn open(&self) -> Result<Result<(Cursor, Reader), Lost>, TermError> {
        let stream = self.fold.source.stream();
        let state = self.fold.bus.stream_state(stream).await?;
        for difference in &state.differences {
            warn!(
                stream,
                "the stream is not as it must be: {difference}; run `rolekeeper migrate`"
            );
        }
        self.show_stream(&state);
        let cursor = match self.fold.store.cursor(stream).await? {
            Some(cursor) => cursor,
            None => self.first_cursor(&state).await?,
        };
        match follow::start_at(&cursor, &state) {
            Ok(from) => Ok(Ok((
                cursor,
                self.fold.bus.reader(stream, from, self.fold.batch).await?,
            ))),
            Err(lost) => Ok(Err(lost)),
        }
    }

    /// The cursor of a stream that was never folded: all that is in it is new.
    async fn first_cursor(&self, state: &StreamState) -> Result<Cursor, TermError> {
        let stream = self.fold.source.stream();
        let before_first = state.first_seq.max(1) - 1;
        if before_first > 0 {
            warn!(
                stream,
                "first start: the stream begins at {}, what was before is not counted", state.first_seq
            );
        }
        self.fold
            .store
            .first_cursor(stream, state.created_ns, before_first.cast_signed())
            .await?;
        self.fold.store.cursor(stream).await?.ok_or(TermError::Refused)
    }

    /// Names what broke off behind the last good message.
    async fn name(&self, broken: Broken) -> Result<Lost, TermError> {
        Ok(match broken {
            Broken::Replaced(why) => (LossKind::Replaced, why),
            Broken::Jump { expected, got } => {
                let state = self.fold.bus.stream_state(self.fold.source.stream()).await?;
                follow::name_jump(expected, got, &state)
            }
        })
    }

    /// Commits a batch: cursor first, then what it explains.
    async fn commit(
        &self,
        held: &mut Held,
        cursor: &mut Cursor,
        numbers: &mut Numbers,
        batch: Batch,
    ) -> Result<(), TermError> {
        let stream = self.fold.source.stream();
        let started = Instant::now();
        let Batch { content, last } = batch;
        let (seq, stored_ns) = (last.seq.cast_signed(), last.stored_ns);
        let to = Move {
            stream,
            from: cursor,
            last_seq: seq,
            last_stored_ns: stored_ns,
            rules: &self.fingerprint,
        };
        if self.fold.dedup_horizon.is_none()
            && let Content::AppEvents(batch) = &content
            && let Some(done) = app_events::fold_at_once(held, &to, batch, &self.rules).await?
        {
            (cursor.last_seq, cursor.last_stored_ns) = (seq, stored_ns);
            self.count(&done, &last, started.elapsed());
            return Ok(());
        }
        let slices = match (&content, self.fold.dedup_horizon) {
            (Content::AppEvents(batch), Some(horizon)) => {
                Some(repeats::prepare(held, horizon, &batch.read).await?)
            }
            _ => None,
        };
        let mut tx = held.begin().await?;
        if !cursors::advance(&mut tx, &to).await? {
            return Err(TermError::Refused);
        }
        let key = self.fold.store.erasure_key();
        let done = match content {
            Content::AppEvents(batch) => {
                app_events::fold(&mut tx, batch, &self.rules, key, slices.as_deref(), numbers).await?
            }
            Content::Auth0Logs(messages) => {
                let own_client = self.fold.own_client_id.as_deref();
                auth0_logs::fold(&mut tx, &messages, own_client, key).await?
            }
        };
        tx.commit().await.map_err(StoreError::from)?;
        (cursor.last_seq, cursor.last_stored_ns) = (seq, stored_ns);
        self.count(&done, &last, started.elapsed());
        Ok(())
    }

    fn count(&self, done: &Done, last: &Last, took: Duration) {
        let stream = self.fold.source.stream();
        self.fold
            .metrics
            .folded
            .with_label_values(&[stream])
            .inc_by(done.messages);
        self.fold
            .metrics
            .erased_dropped
            .with_label_values(&[stream])
            .inc_by(done.erased);
        self.fold.metrics.repeats_dropped.inc_by(done.repeats);
        for reason in &done.rejected {
            self.fold
                .metrics
                .dead_letters
                .with_label_values(&[stream, reason])
                .inc();
        }
        self.fold
            .metrics
            .fold_seconds
            .with_label_values(&[stream])
            .observe(took.as_secs_f64());
        self.fold
            .metrics
            .fold_lag_messages
            .with_label_values(&[stream])
            .set(last.pending.cast_signed());
        let age = crate::clock::now() - at(last.stored_ns);
        let lag = if last.pending == 0 {
            0.0
        } else {
            age.as_seconds_f64().max(0.0)
        };
        self.fold
            .metrics
            .fold_lag_seconds
            .with_label_values(&[stream])
            .set(lag);
        self.fold
            .metrics
            .stream_last_message
            .with_label_values(&[stream])
            .set(last.stored_ns as f64 / 1e9);
    }

    fn show_stream(&self, state: &StreamState) {
        let stream = self.fold.source.stream();
        if state.max_bytes > 0 {
            let free = 1.0 - state.bytes as f64 / state.max_bytes as f64;
            self.fold
                .metrics
                .stream_headroom
                .with_label_values(&[stream])
                .set(free.max(0.0));
        }
        if state.last_seq > 0 {
            self.fold
                .metrics
                .stream_last_message
                .with_label_values(&[stream])
                .set(state.last_stored_ns as f64 / 1e9);
        }
    }

    async fn lose(&self, (kind, detail): Lost) -> Result<TermEnd, TermError> {
        self.fold
            .store
            .report_loss(self.fold.source.stream(), kind, &detail)
            .await?;
        Ok(TermEnd::Stopped)
    }

    /// Stays stopped until the loss is accepted, the lock is lost, or the process stops.
    async fn stopped(&self, loss: &Loss, held: &mut Held, stop: &CancellationToken) -> Result<(), TermError> {
        let stream = self.fold.source.stream();
        let what = format!("{stream} {}: {}", loss.kind, loss.detail);
        error!(
            stream,
            kind = loss.kind,
            "fold is stopped, revokes are held. {what}. To go on: rolekeeper accept-stream {stream}"
        );
        self.fold.readiness.not_ready(
            self.fold.source.stage(),
            format!("{what}; run `rolekeeper accept-stream {stream}`"),
        );
        let mut accepted = self.fold.store.listen(Wake::Streams).await?;
        while self.fold.store.open_loss(stream).await?.is_some() {
            held.check().await?;
            tokio::select! {
                () = stop.cancelled() => break,
                heard = accepted.heard() => heard?,
                () = tokio::time::sleep(STOPPED_POLL) => {}
            }
        }
        Ok(())
    }
}
