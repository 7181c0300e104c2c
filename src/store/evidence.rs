//! The rows of `rolekeeper evidence`: completed role changes in the order of the chain, and the acts that let them happen.
//!
//! Owns that each read is a slice by an index, however large the audit is. Must never write.

use std::collections::HashMap;

use time::OffsetDateTime;
use uuid::Uuid;

use super::role_change_chain::hash_of;
use super::{Store, StoreError, Tx};
use rolekeeper_domain::evidence::{Chained, Completed, OfOperator, Place, START, Salt};

/// Rows of one slice.
const AT_ONCE: i64 = 500;
/// Changes that were completed within this time of a period are checked with it, seconds: a change that was committed late stands
/// among them, and one whose time was changed by hand stood there.
const AROUND_S: f64 = 300.0;

/// The part of the chain that has all changes completed in a period, and what is around it.
#[derive(Clone, Debug)]
pub struct ChainPart {
    /// Positions of the first and the last of these changes; none if there is none.
    pub positions: Option<(i64, i64)>,
    /// The end of that part; none if there is no such change.
    pub end: Option<Place>,
    /// Positions of the first and the last change to check: from the last change well before the period to the first one well
    /// behind it, whose times are part of their hashes; so none of the period is missing if all of these have their hash.
    pub checked: (i64, i64),
    /// The last change before these; none if the audit has none.
    pub before: Option<Place>,
    /// Changes completed in the period that have no place in the chain yet.
    pub waiting: i64,
    /// The end of the whole chain, as the transaction that moved it last left it.
    pub noted_end: Place,
    /// The last change of the whole chain; none if there is no change.
    pub last: Option<Place>,
}

/// A transaction that may complete changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writing {
    /// Its virtual id.
    pub transaction: String,
    /// The process of Postgres that runs it; none if it is prepared.
    pub process: Option<i32>,
}

/// The last change up to a position.
async fn up_to(tx: &mut Tx<'_>, position: i64) -> Result<Option<Place>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT chain_position AS "position!", chain_hash AS "hash!" FROM role_changes
           WHERE chain_position <= $1 ORDER BY chain_position DESC LIMIT 1"#,
        position
    );
    let row = row.fetch_optional(&mut *tx).await?.map(|row| {
        Ok(Place {
            position: row.position,
            hash: hash_of("role_changes", "chain_hash", &row.hash)?,
        })
    });
    row.transpose()
}

impl Store {
    /// Postgres' clock, which sets the time of completion.
    pub async fn clock(&self) -> Result<OffsetDateTime, StoreError> {
        let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#);
        let mut tx = self.begin_to_read().await?;
        Ok(now.fetch_one(&mut tx).await?)
    }

    /// The transactions that may have completed changes which nobody else sees yet.
    pub async fn writing_changes(&self) -> Result<Vec<Writing>, StoreError> {
        let rows = sqlx::query_as!(
            Writing,
            r#"SELECT virtualtransaction AS "transaction!", pid AS process FROM pg_locks
               WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND relation = 'role_changes'::regclass AND mode = 'RowExclusiveLock' AND granted"#
        );
        let mut tx = self.begin_to_read().await?;
        Ok(rows.fetch_all(&mut tx).await?)
    }

    /// The part of the chain from the first to the last change that was completed in a period. A change that was committed late
    /// stands behind later ones, so the part may have some changes of other times.
    pub async fn chain_part(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<ChainPart, StoreError> {
        let mut tx = self.begin_to_read().await?;
        let row = sqlx::query!(
            r#"SELECT e.position, e.hash, part.first, part.last,
                   (SELECT chain_position FROM role_changes
                    WHERE completed_at < $1 - $3::double precision * interval '1 second' AND chain_position IS NOT NULL
                    ORDER BY completed_at DESC LIMIT 1) AS well_before,
                   (SELECT chain_position FROM role_changes
                    WHERE completed_at >= $2 + $3::double precision * interval '1 second' AND chain_position IS NOT NULL
                    ORDER BY completed_at LIMIT 1) AS well_behind,
                   (SELECT count(*) FROM role_changes
                    WHERE completed_at >= $1 AND completed_at < $2 AND chain_position IS NULL) AS "waiting!"
               FROM role_change_chain e CROSS JOIN LATERAL (
                   -- with the count, or Postgres would look for the first one in the order of the chain, from its start on
                   SELECT min(chain_position) AS first, max(chain_position) AS last, count(*) AS changes FROM role_changes
                   WHERE completed_at >= $1 AND completed_at < $2 AND chain_position IS NOT NULL
               ) AS part"#,
            from,
            to,
            AROUND_S
        );
        let row = row.fetch_one(&mut tx).await?;
        let positions = row.first.zip(row.last);
        let last = up_to(&mut tx, i64::MAX).await?;
        let (first_of_all, last_of_all) = (START.position + 1, last.map_or(0, |last| last.position));
        let (first, end) = positions.unwrap_or((i64::MAX, i64::MIN));
        let (before, behind) = (
            row.well_before.unwrap_or(first_of_all),
            row.well_behind.unwrap_or(last_of_all),
        );
        // Times that were changed by hand may have swapped them.
        let checked = (before.min(behind).min(first), behind.max(before).max(end));
        Ok(ChainPart {
            positions,
            end: match positions {
                Some((_, last)) => up_to(&mut tx, last).await?,
                None => None,
            },
            checked,
            before: up_to(&mut tx, checked.0.saturating_sub(1)).await?,
            waiting: row.waiting,
            noted_end: Place {
                position: row.position,
                hash: hash_of("role_change_chain", "hash", &row.hash)?,
            },
            last,
        })
    }

    /// The next changes behind a position, up to `last`, in the order of the chain.
    pub async fn chained(&self, after: i64, last: i64) -> Result<Vec<Chained>, StoreError> {
        let rows = sqlx::query!(
            r#"-- A time outside the calendar, which only a change by hand can have left, becomes another one: the hash shows it.
               SELECT change_id, user_id, role, change, plays, rule, event_id, event_seq,
                   CASE WHEN event_stored_at BETWEEN '0001-01-01 00:00Z' AND '9999-12-31 00:00Z' THEN event_stored_at END AS event_stored_at,
                   CASE WHEN attempted_at BETWEEN '0001-01-01 00:00Z' AND '9999-12-31 00:00Z' THEN attempted_at END AS attempted_at,
                   least(greatest(decided_at, '0001-01-01 00:00Z'), '9999-12-31 00:00Z') AS "decided_at!",
                   least(greatest(completed_at, '0001-01-01 00:00Z'), '9999-12-31 00:00Z') AS "completed_at!", outcome AS "outcome!", queued_ms, released, write_id, client_id, log_id, reason,
                   chain_position AS "position!", chain_previous AS "previous!", chain_hash AS "hash!", user_hash AS "user_hash!",
                   user_salt
               FROM role_changes WHERE chain_position > $1 AND chain_position <= $2 ORDER BY chain_position LIMIT $3"#,
            after,
            last,
            AT_ONCE
        );
        let mut tx = self.begin_to_read().await?;
        let rows = rows.fetch_all(&mut tx).await?.into_iter().map(|row| {
            Ok(Chained {
                place: Place {
                    position: row.position,
                    hash: hash_of("role_changes", "chain_hash", &row.hash)?,
                },
                previous: hash_of("role_changes", "chain_previous", &row.previous)?,
                user: hash_of("role_changes", "user_hash", &row.user_hash)?,
                salt: row.user_salt.as_deref().and_then(Salt::of_slice),
                change: Completed {
                    change_id: row.change_id,
                    user_id: row.user_id,
                    role: row.role,
                    change: row.change,
                    plays: row.plays,
                    rule: row.rule,
                    event_id: row.event_id,
                    event_stored_at: row.event_stored_at,
                    event_seq: row.event_seq,
                    decided_at: row.decided_at,
                    attempted_at: row.attempted_at,
                    completed_at: row.completed_at,
                    outcome: row.outcome,
                    queued_ms: row.queued_ms,
                    released: row.released,
                    write_id: row.write_id,
                    client_id: row.client_id,
                    log_id: row.log_id,
                    reason: row.reason,
                },
            })
        });
        rows.collect()
    }

    /// The acts that released or pinned these changes: the newest pin of the role at an id of the person up to the decision, and the
    /// newest release of their kind. The act of a release is stored at its end, shortly after its first users may be decided.
    pub async fn acts_of_changes(
        &self,
        changes: &[Chained],
    ) -> Result<HashMap<Uuid, Vec<OfOperator>>, StoreError> {
        let by_operators = changes
            .iter()
            .map(|row| &row.change)
            .filter(|change| change.released || change.reason.as_deref() == Some("pinned"));
        let ids: Vec<Uuid> = by_operators.map(|change| change.change_id).collect();
        let mut acts: HashMap<Uuid, Vec<OfOperator>> = HashMap::new();
        if ids.is_empty() {
            return Ok(acts);
        }
        let rows = sqlx::query!(
            r#"SELECT c.change_id, a.acted_at AS "at!", a.acted_by AS "by!", a.db_user AS "db_user!", a.command AS "command!", a.why,
                   a.outcome AS "outcome!"
               FROM role_changes c CROSS JOIN LATERAL (
                   (SELECT * FROM operator_acts p
                    WHERE c.reason = 'pinned' AND p.command = 'pin' AND p.acted_at <= c.decided_at
                      AND p.arguments->>'user' = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = c.user_id) || c.user_id)
                      AND p.arguments->>'role' = c.role
                      AND p.arguments->>'state' = CASE c.change WHEN 'granted' THEN 'on' ELSE 'off' END
                    ORDER BY p.acted_at DESC LIMIT 1)
                   UNION ALL
                   (SELECT * FROM operator_acts r
                    WHERE c.released AND r.command = 'brake release' AND r.acted_at <= c.decided_at + interval '10 seconds'
                      AND r.arguments->>'changes' = CASE c.change WHEN 'granted' THEN 'grants' WHEN 'revoked' THEN 'revokes' ELSE 'restores' END
                    ORDER BY r.acted_at DESC LIMIT 1)
               ) AS a WHERE c.change_id = ANY($1) ORDER BY a.acted_at"#,
            &ids
        );
        let mut tx = self.begin_to_read().await?;
        for row in rows.fetch_all(&mut tx).await? {
            acts.entry(row.change_id).or_default().push(OfOperator {
                at: row.at,
                by: row.by,
                db_user: row.db_user,
                command: row.command,
                why: row.why,
                outcome: row.outcome,
            });
        }
        Ok(acts)
    }
}
