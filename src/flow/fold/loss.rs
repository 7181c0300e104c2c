//! Events that are lost before they were folded.
//!
//! Owns what is read from the stream to judge it, and the stop after a loss; the domain's sequence check judges. Must
//! never record a loss that the domain does not call certain.

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::leadership::{Leadership, LeadershipEnd, LeadershipError, STOPPED_POLL};
use crate::bus::{Bus, BusError, ReadError, StreamState, Which};
use crate::store::{Channel, Cursor, LockGuard, Loss, StoreError, cursors};
use rolekeeper_domain::sequence_check;
use rolekeeper_domain::stream_loss::{StreamLoss, Suspicion};

/// Time between two checks of a suspected loss.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(5);

/// Judges by the cursor's own message, and by the stream's state, whether this is the stream that was folded.
///
/// # Errors
/// JetStream does not respond.
pub async fn judge(
    bus: &Bus,
    stream: &str,
    (cursor, state): (&Cursor, &StreamState),
) -> Result<Option<StreamLoss>, BusError> {
    let (folded, extent) = (cursor.folded(), state.extent());
    if let Err(lost) = folded.judge(&extent) {
        return Ok(Some(lost));
    }
    let Some(last) = folded.comparable(&extent) else {
        return Ok(None);
    };
    let at_cursor = bus.fetch(stream, Which::At(last)).await?;
    // Without that message, the first delivery must be the one right behind it.
    Ok(at_cursor.and_then(|stored| folded.replaced(stored.stored_ns)))
}

impl Leadership<'_> {
    /// Judges whether this is the stream that was folded, as [`judge`].
    pub(super) async fn judge(
        &self,
        cursor: &Cursor,
        state: &StreamState,
    ) -> Result<Option<StreamLoss>, LeadershipError> {
        Ok(judge(&self.fold.bus, self.fold.source.stream(), (cursor, state)).await?)
    }

    /// Judges the messages behind the cursor too.
    async fn judge_all(&self, cursor: &Cursor) -> Result<Option<StreamLoss>, LeadershipError> {
        let stream = self.fold.source.stream();
        let state = self.fold.bus.stream_state(stream).await?;
        if let Some(lost) = self.judge(cursor, &state).await? {
            return Ok(Some(lost));
        }
        let extent = state.extent();
        let Some(expected) = cursor.folded().next(&extent) else {
            return Ok(None);
        };
        let first = self.fold.bus.fetch(stream, Which::From(expected)).await?;
        Ok(sequence_check::missing(
            expected,
            first.map(|stored| stored.seq),
            &extent,
        ))
    }

    /// Checks a suspected loss until enough checks in a row agree, and records it; or ends the leadership when a check
    /// finds no loss.
    pub(super) async fn lose(
        &self,
        lock: &mut LockGuard,
        cursor: &Cursor,
        stop: &CancellationToken,
    ) -> Result<LeadershipEnd, LeadershipError> {
        let (stream, stage) = (self.fold.source.stream(), self.fold.source.stage());
        let mut suspected = Suspicion::default();
        loop {
            let Some(loss) = self.judge_all(cursor).await? else {
                info!(
                    stream,
                    "the suspected loss is not confirmed: the stream has all messages"
                );
                return Err(ReadError::Ended(
                    "messages seemed to be missing, but the stream has all of them".to_owned(),
                )
                .into());
            };
            if suspected.is_certain(loss.kind) {
                let mut tx = lock.begin().await?;
                if !cursors::report_loss(&mut tx, stream, cursor, &loss).await? {
                    return Err(LeadershipError::Refused);
                }
                tx.commit().await.map_err(StoreError::from)?;
                crash_point!("loss_kept");
                return Ok(LeadershipEnd::Stopped);
            }
            let StreamLoss { kind, detail } = loss;
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
