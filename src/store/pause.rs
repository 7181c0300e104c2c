//! Table `pause`: attempts and writes are stopped, by an operator or because another program writes under our client
//! id.
//!
//! Owns this row, which the claim in `work_queue` and the erasure of deleted users obey. Must never touch running attempts.

use serde_json::json;
use time::OffsetDateTime;

use super::{Channel, Store, StoreError, Tx, acts, forgotten};
use rolekeeper_domain::act::Act;

/// A stop of attempts and writes.
#[derive(Clone, Debug)]
pub struct Paused {
    /// Time since which they are stopped.
    pub since: OffsetDateTime,
    /// The operator's reason.
    pub reason: Option<String>,
    /// Auth0 confirmed a write under our own client id that is not ours.
    pub unknown_write: bool,
}

/// Result of `resume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// Attempts and writes go on.
    Yes,
    /// Nothing was stopped.
    NotPaused,
    /// Another program writes under our client id, and the operator gave no reason to resume.
    NeedsReason,
    /// This many announced role changes are unknown to this database, and the operator gave no reason to resume.
    Forgotten(i64),
}

/// Stops attempts and writes, since Auth0 confirmed a write of `user`'s roles under our client id that is not ours.
/// Ignores a write from before the last `resume`, and does nothing in shadow mode. Returns whether they are stopped now
/// and were not before.
pub(super) async fn stop(
    tx: &mut Tx<'_>,
    user: &str,
    (written_at, log_id): (OffsetDateTime, &str),
) -> Result<bool, StoreError> {
    let reason =
        format!("a write under our own client id is not ours (log record {log_id}, see `rolekeeper acts`)");
    let stopped = sqlx::query_scalar!(
        r#"INSERT INTO pause AS p (reason, unknown_write)
           SELECT $1, true
           WHERE $2 > coalesce((SELECT max(acted_at) FROM operator_acts WHERE command = 'resume'), '-infinity')
             AND (SELECT value FROM limits WHERE name = 'writes' ORDER BY set_id DESC LIMIT 1) IS DISTINCT FROM 0
           ON CONFLICT (only_row) DO UPDATE SET unknown_write = true,
               reason = concat_ws('; ', p.reason, excluded.reason) WHERE NOT p.unknown_write
           RETURNING true AS "stopped!""#,
        reason,
        written_at
    );
    if stopped.fetch_optional(&mut *tx).await?.is_none() {
        return Ok(false);
    }
    let act = Act {
        by: acts::WORKER.to_owned(),
        command: "pause",
        arguments: json!({"log_id": log_id, "user": user}),
        why: None,
    };
    acts::keep(
        tx,
        &act,
        "writes stopped: a write under our own client id is not ours",
    )
    .await?;
    Channel::WorkQueue.send(tx).await?;
    Ok(true)
}

/// Whether nothing is stopped. A `rolekeeper pause` that begins later waits for this transaction, so that nothing irreversible
/// happens after it; `stop` does not, since it holds rows that this transaction may wait for.
pub(super) async fn permits(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    lock(tx).await?;
    let permits = sqlx::query_scalar!(r#"SELECT NOT EXISTS (SELECT FROM pause) AS "permits!""#);
    Ok(permits.fetch_one(&mut *tx).await?)
}

/// Excludes itself and no change of the row.
async fn lock(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!("LOCK TABLE pause IN SHARE UPDATE EXCLUSIVE MODE")
        .execute(&mut *tx)
        .await?;
    Ok(())
}

impl Store {
    /// The current stop; `None` if nothing is stopped.
    pub async fn paused(&self) -> Result<Option<Paused>, StoreError> {
        let row = sqlx::query_as!(Paused, "SELECT since, reason, unknown_write FROM pause");
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Stops attempts and writes. Returns the number of attempts in flight, which finish; `None` if they were stopped
    /// already (a new reason is stored).
    pub async fn pause(&self, reason: Option<&str>, act: &Act) -> Result<Option<i64>, StoreError> {
        let mut tx = self.begin().await?;
        // Waits for an erasure that has begun; this transaction holds nothing yet that it may need.
        lock(&mut tx).await?;
        let fresh = sqlx::query_scalar!(
            r#"INSERT INTO pause (reason) VALUES ($1)
               ON CONFLICT (only_row) DO UPDATE SET reason = coalesce(excluded.reason, pause.reason)
               RETURNING since = now() AS "fresh!""#,
            reason
        )
        .fetch_one(&mut tx)
        .await?;
        let in_hand =
            sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM work_queue WHERE lease_until > now()"#);
        let in_hand = in_hand.fetch_one(&mut tx).await?;
        let outcome = if fresh {
            "paused"
        } else {
            "paused already; the reason is kept"
        };
        acts::keep(&mut tx, act, outcome).await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("paused");
        Ok(fresh.then_some(in_hand))
    }

    /// Resumes attempts and writes.
    pub async fn resume(&self, act: &Act) -> Result<Resumed, StoreError> {
        let mut tx = self.begin().await?;
        let forgotten = forgotten::unresumed(&mut tx).await?;
        if let (Some(unknown), None) = (forgotten, &act.why) {
            return Ok(Resumed::Forgotten(unknown));
        }
        if forgotten.is_some() {
            forgotten::resume(&mut tx).await?;
        }
        let ended = sqlx::query_scalar!(
            "DELETE FROM pause WHERE NOT unknown_write OR $1 RETURNING reason",
            act.why.is_some()
        );
        if ended.fetch_optional(&mut tx).await?.is_none() && forgotten.is_none() {
            let stands = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM pause) AS "stands!""#);
            let stands = stands.fetch_one(&mut tx).await?;
            return Ok(if stands {
                Resumed::NeedsReason
            } else {
                Resumed::NotPaused
            });
        }
        acts::keep(&mut tx, act, "resumed").await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("resumed");
        Ok(Resumed::Yes)
    }
}
