//! Table `walk`: the comparison of facts with decisions, partition by partition.
//!
//! Owns the progress of the walks. Must never read more than one partition in a transaction, nor a whole table: users are
//! taken in the order of their ids, by index.

use time::OffsetDateTime;

use super::out_of_date::{self, Compare};
use super::{Channel, Store, StoreError, Tx, owner_totals};

/// Rows of playlists, and of assignments, read per partition; more only if one user has more.
const PARTITION_ROWS: i64 = 5_000;

/// Result of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Belongs to the walk after a change of rules or limits.
    pub changed: bool,
    /// Was the last partition of its walk.
    pub ended: bool,
    /// Number of enqueued users of the partition.
    pub enqueued: u64,
    /// Number of enqueued users of the whole walk so far.
    pub enqueued_in_round: i64,
    /// Partitions of the last complete walk.
    pub last_partitions: i64,
}

/// Progress of the walks.
#[derive(Clone, Debug)]
pub struct Walked {
    /// The walk after a change has not ended yet.
    pub changed: bool,
    /// Last compared user; empty at the start of a walk.
    pub position: String,
    /// Partitions of this walk so far, and of the last complete one.
    pub partitions: (i64, i64),
    /// Time at which this walk was requested.
    pub requested_at: OffsetDateTime,
}

/// Requests a walk at once, under rules with this fingerprint, or those of the last walk.
pub(super) async fn want(tx: &mut Tx<'_>, fingerprint: Option<&str>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO walk (rules, changed, writes)
         SELECT coalesce($1, r.fingerprint), true, false FROM (SELECT max(fingerprint) AS fingerprint FROM rules_in_force) AS r
         WHERE coalesce($1, r.fingerprint) IS NOT NULL
         ON CONFLICT (only_row) DO UPDATE SET rules = excluded.rules, changed = true, position = '', partitions = 0, enqueued = 0,
             requested_at = now(), finished_at = NULL",
        fingerprint
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// Compares the next partition of users; enqueues those whose facts and decisions differ, with `writes` also those
    /// whose role differs from the decision. Returns `None` and does nothing if other rules are in force.
    pub async fn walk_partition(&self, compare: &Compare<'_>) -> Result<Option<Partition>, StoreError> {
        let mut tx = self.begin().await?;
        // As in `erasures::refuse`: an erasure that begins later removes the rows written here.
        sqlx::query!("LOCK TABLE stream_cursors IN ROW SHARE MODE")
            .execute(&mut tx)
            .await?;
        let row = sqlx::query!(
            r#"SELECT rules, changed, writes, position, partitions, last_partitions, enqueued,
                   -- Finds partitions by index, whatever the planner knows of the tables; its pretended costs would
                   -- otherwise make it compile every statement.
                   set_config('enable_seqscan', 'off', true) AS a, set_config('plan_cache_mode', 'force_custom_plan', true) AS b,
                   set_config('jit', 'off', true) AS c
               FROM walk FOR UPDATE"#
        );
        let Some(row) = row.fetch_optional(&mut tx).await? else {
            want(&mut tx, None).await?;
            tx.commit().await?;
            crash_point!("round_wanted");
            return Ok(None);
        };
        if row.rules != compare.fingerprint {
            return Ok(None);
        }
        // A difference that was accepted in shadow mode may be due now, so the walk restarts.
        let restart = compare.writes && !row.writes;
        let changed = row.changed || restart;
        let from = if restart { "" } else { row.position.as_str() };
        let (partitions, before) = if restart {
            (0, 0)
        } else {
            (row.partitions, row.enqueued)
        };
        let (to, ended) = end_of_partition(&mut tx, from).await?;
        let (mut enqueued, mut in_flight) = (0, Vec::new());
        if let Some(to) = &to {
            enqueued = out_of_date::enqueue(&mut tx, compare, changed, (from, to)).await?;
            if changed {
                if compare.rules.need_totals() {
                    owner_totals::fill(&mut tx, from, to).await?;
                }
                enqueued += out_of_date::wake_timers(&mut tx, from, to).await?;
                in_flight = users_in_flight(&mut tx, from, to).await?;
            }
        }
        let in_round = before.saturating_add_unsigned(enqueued);
        sqlx::query!(
            "UPDATE walk SET writes = $1, changed = $2 AND NOT $3, position = CASE WHEN $3 THEN '' ELSE $4 END,
                 partitions = CASE WHEN $3 THEN 0 ELSE $5::bigint END, enqueued = CASE WHEN $3 THEN 0 ELSE $6::bigint END,
                 last_partitions = CASE WHEN $3 THEN $5 ELSE last_partitions END,
                 requested_at = CASE WHEN $3 OR $7 THEN now() ELSE requested_at END,
                 finished_at = CASE WHEN $3 THEN now() WHEN $7 THEN NULL ELSE finished_at END",
            compare.writes,
            changed,
            ended,
            to.unwrap_or_default(),
            partitions + 1,
            in_round,
            restart
        )
        .execute(&mut tx)
        .await?;
        if enqueued > 0 {
            Channel::WorkQueue.send(&mut tx).await?;
        }
        tx.commit().await?;
        crash_point!("partition_walked");
        self.requeue_in_flight(in_flight).await?;
        Ok(Some(Partition {
            changed,
            ended,
            enqueued,
            enqueued_in_round: in_round,
            last_partitions: row.last_partitions,
        }))
    }

    /// Requests another attempt on users with a running attempt, which may have begun under the previous rules or
    /// limits. One by one and without an open transaction, so that no lock is held while waiting for another.
    async fn requeue_in_flight(&self, in_flight: Vec<String>) -> Result<(), StoreError> {
        for user in in_flight {
            sqlx::query!(
                "UPDATE work_queue SET generation = generation + 1 WHERE user_id = $1 AND lease IS NOT NULL",
                user
            )
            .execute(&self.pool)
            .await?;
            crash_point!("in_flight_queued");
        }
        Ok(())
    }

    /// Progress of the walks; `None` before the first.
    pub async fn walked(&self) -> Result<Option<Walked>, StoreError> {
        let row =
            sqlx::query!("SELECT changed, position, partitions, last_partitions, requested_at FROM walk");
        Ok(row.fetch_optional(&self.pool).await?.map(|row| Walked {
            changed: row.changed,
            position: row.position,
            partitions: (row.partitions, row.last_partitions),
            requested_at: row.requested_at,
        }))
    }
}

/// Users of the partition with a running attempt.
async fn users_in_flight(tx: &mut Tx<'_>, from: &str, to: &str) -> Result<Vec<String>, StoreError> {
    let in_flight = sqlx::query_scalar!(
        "SELECT user_id FROM work_queue WHERE user_id > $1 AND user_id <= $2 AND lease IS NOT NULL",
        from,
        to
    );
    Ok(in_flight.fetch_all(&mut *tx).await?)
}

/// The last user id of the partition behind `from`, and whether the partition is the last; no id if no user is left.
pub(super) async fn end_of_partition(
    tx: &mut Tx<'_>,
    from: &str,
) -> Result<(Option<String>, bool), StoreError> {
    let row = sqlx::query!(
        r#"SELECT least(
               (SELECT owner_id FROM playlists WHERE owner_id > $1 ORDER BY owner_id OFFSET $2 LIMIT 1),
               (SELECT user_id FROM assignments WHERE user_id > $1 ORDER BY user_id OFFSET $2 LIMIT 1),
               (SELECT primary_id FROM identities WHERE primary_id > $1 ORDER BY primary_id OFFSET $2 LIMIT 1)
           ) AS full,
           greatest((SELECT max(owner_id) FROM playlists), (SELECT max(user_id) FROM assignments),
               (SELECT max(primary_id) FROM identities)) AS last"#,
        from,
        PARTITION_ROWS - 1
    );
    let row = row.fetch_one(&mut *tx).await?;
    let last = row.last.filter(|last| last.as_str() > from);
    let ended = row.full.is_none() || row.full == last;
    Ok((row.full.or(last), ended))
}
