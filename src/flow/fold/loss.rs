//! Events that are lost before they were folded.
//!
//! Owns the judgement of stream and cursor, and the stop after a loss. Must never rely on one check: a stream that is
//! being restored, or a new leader that has not read all its messages, looks like a loss for a while.

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::STOPPED_POLL;
use super::leadership::{Leadership, LeadershipEnd, LeadershipError};
use super::sequence_check::{self, Gap, StreamLoss};
use crate::bus::{ReadError, StreamState, Which};
use crate::store::{Channel, Cursor, LockGuard, Loss, StoreError, cursors};

/// Checks that must agree before a loss is recorded.
const CONFIRMATIONS: u32 = 3;
/// Time between two of them.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(5);

impl Leadership<'_> {
    /// Judges by the cursor's own message, and by the stream's state, whether this is the stream that was folded.
    pub(super) async fn judge(
        &self,
        cursor: &Cursor,
        state: &StreamState,
    ) -> Result<Option<StreamLoss>, LeadershipError> {
        if let Err(lost) = sequence_check::judge(cursor, state) {
            return Ok(Some(lost));
        }
        let last = cursor.last_seq.unsigned_abs();
        if cursor.last_stored_ns == 0 || last < state.first_seq {
            return Ok(None);
        }
        let at_cursor = self
            .fold
            .bus
            .fetch(self.fold.source.stream(), Which::At(last))
            .await?;
        // Without that message, the first delivery must be the one right behind it.
        Ok(at_cursor.and_then(|stored| sequence_check::replaced(cursor, stored.stored_ns)))
    }

    /// Judges the messages behind the cursor too.
    async fn judge_all(&self, cursor: &Cursor) -> Result<Option<StreamLoss>, LeadershipError> {
        let stream = self.fold.source.stream();
        let state = self.fold.bus.stream_state(stream).await?;
        if let Some(lost) = self.judge(cursor, &state).await? {
            return Ok(Some(lost));
        }
        let expected = cursor.last_seq.unsigned_abs() + 1;
        if state.last_seq < expected {
            return Ok(None);
        }
        let next = self.fold.bus.fetch(stream, Which::From(expected)).await?;
        let got = next.map_or(state.last_seq + 1, |stored| stored.seq);
        Ok((got != expected).then(|| sequence_check::name_gap(Gap { expected, got }, &state)))
    }

    /// Checks a suspected loss until three checks in a row agree, and records it; or ends the leadership when a check
    /// finds no loss.
    pub(super) async fn lose(
        &self,
        lock: &mut LockGuard,
        cursor: &Cursor,
        stop: &CancellationToken,
    ) -> Result<LeadershipEnd, LeadershipError> {
        let (stream, stage) = (self.fold.source.stream(), self.fold.source.stage());
        let mut seen = None;
        let mut agree = 0;
        loop {
            let Some((kind, detail)) = self.judge_all(cursor).await? else {
                info!(
                    stream,
                    "the suspected loss is not confirmed: the stream has all messages"
                );
                return Err(ReadError::Ended(
                    "messages seemed to be missing, but the stream has all of them".to_owned(),
                )
                .into());
            };
            agree = if seen == Some(kind) { agree + 1 } else { 1 };
            seen = Some(kind);
            if agree == CONFIRMATIONS {
                let mut tx = lock.begin().await?;
                if !cursors::report_loss(&mut tx, stream, cursor, kind, &detail).await? {
                    return Err(LeadershipError::Refused);
                }
                tx.commit().await.map_err(StoreError::from)?;
                return Ok(LeadershipEnd::Stopped);
            }
            let suspicion = format!("{stream} looks {}: {detail}", kind.as_str());
            warn!(
                stream,
                kind = kind.as_str(),
                "{suspicion}; checking again before it is recorded as a loss"
            );
            self.fold
                .readiness
                .not_ready(stage, format!("{suspicion}; checking again"));
            lock.check().await?;
            if stop
                .run_until_cancelled(tokio::time::sleep(CONFIRM_INTERVAL))
                .await
                .is_none()
            {
                return Ok(LeadershipEnd::Stopping);
            }
        }
    }

    /// Stays stopped until the loss is accepted, the lock is lost, or the process stops.
    pub(super) async fn stopped(
        &self,
        loss: &Loss,
        lock: &mut LockGuard,
        stop: &CancellationToken,
    ) -> Result<(), LeadershipError> {
        let stream = self.fold.source.stream();
        let what = format!("{stream} {}: {}", loss.kind, loss.detail);
        error!(
            stream,
            kind = loss.kind,
            "the fold is stopped, revokes are held. {what}. To continue: rolekeeper accept-stream {stream}"
        );
        self.fold.readiness.not_ready(
            self.fold.source.stage(),
            format!("{what}; run `rolekeeper accept-stream {stream}`"),
        );
        let hint = Notify::new();
        let mut listen = Box::pin(self.listen(&hint));
        while self.fold.store.open_loss(stream).await?.is_some() {
            lock.check().await?;
            tokio::select! {
                () = stop.cancelled() => break,
                never = &mut listen => match never {},
                () = hint.notified() => {}
                () = tokio::time::sleep(STOPPED_POLL) => {}
            }
        }
        Ok(())
    }

    /// Passes on notifications that a loss was accepted, until dropped. Without a connection for them, the table is
    /// polled all the same.
    async fn listen(&self, hint: &Notify) -> std::convert::Infallible {
        loop {
            if let Ok(mut listener) = self.fold.store.listen(Channel::Streams).await {
                hint.notify_one();
                while listener.notified().await.is_ok() {
                    hint.notify_one();
                }
            }
            tokio::time::sleep(STOPPED_POLL).await;
        }
    }
}
