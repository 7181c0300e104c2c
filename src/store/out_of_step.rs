//! Users of a slice whose facts and decisions differ.
//!
//! Owns the comparison with given rules. Must never lock a user with a running attempt.

use std::time::Duration;

use super::{StoreError, Tx};
use rolekeeper_domain::rule::{Measure, Revoke, Rules};

/// Longest interval between reads of a deleted user whose playlists have enough plays.
const GONE_AT_LEAST_EVERY: Duration = Duration::from_hours(30 * 24);

/// Conditions of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Compare<'r> {
    /// The rules.
    pub rules: &'r Rules,
    /// Fingerprint of the rules.
    pub fingerprint: &'r str,
    /// False in shadow mode: unwritten decisions are accepted then.
    pub writes: bool,
    /// Shortest time before a deleted user is read again; the interval doubles each time.
    pub gone_for: Duration,
}

/// Enqueues users behind `from` and up to `to` if a rule's decision differs from the stored one.
pub(super) async fn enqueue(
    tx: &mut Tx<'_>,
    compare: &Compare<'_>,
    changed: bool,
    (from, to): (&str, &str),
) -> Result<u64, StoreError> {
    let rules = compare.rules.as_slice();
    let roles: Vec<&str> = rules.iter().map(|rule| rule.role.as_str()).collect();
    let grant_at: Vec<i64> = rules.iter().map(|rule| rule.grant_at).collect();
    let revoke_below: Vec<i64> = rules.iter().map(|rule| rule.revoke_below).collect();
    let totals: Vec<bool> = rules
        .iter()
        .map(|rule| rule.of == Measure::AllPlaylists)
        .collect();
    let revokes: Vec<bool> = rules.iter().map(|rule| rule.revoke == Revoke::On).collect();
    let enqueued = sqlx::query!(
        "WITH rule AS MATERIALIZED (
             SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::boolean[], $5::boolean[])
                 AS r(role, grant_at, revoke_below, totals, revokes)
         ), owner AS MATERIALIZED (
             -- playlists of a linked id count for its primary, which belongs to the slice by its own id
             SELECT user_id, max(plays) AS best, sum(greatest(plays, 0))::bigint AS total FROM (
                 SELECT owner_id AS user_id, plays FROM playlists
                 WHERE owner_id > $8 AND owner_id <= $9 AND NOT deleted
                   AND NOT EXISTS (SELECT FROM identities i WHERE i.alias = owner_id)
                 UNION ALL
                 SELECT i.primary_id, p.plays FROM identities i JOIN playlists p ON p.owner_id = i.alias
                 WHERE i.primary_id > $8 AND i.primary_id <= $9 AND NOT p.deleted
             ) AS of_person GROUP BY user_id
         ), above AS (
             -- a user below the lower threshold is equivalent to one without plays
             SELECT o.user_id, r.role, CASE WHEN r.totals THEN o.total ELSE o.best END AS plays
             FROM owner o JOIN rule r ON CASE WHEN r.totals THEN o.total ELSE o.best END >= r.revoke_below
         ), decided AS (
             -- the data of deleted users is kept as it was; verification reads them again
             SELECT user_id, role, wanted, held, adopted, overruled,
                 EXISTS (SELECT FROM gone_users g WHERE g.user_id = a.user_id) AS gone
             FROM assignments a WHERE user_id > $8 AND user_id <= $9 AND role = ANY($1::text[])
         ), out AS (
             SELECT user_id, CASE WHEN above.plays IS NULL OR (above.plays < r.grant_at AND NOT d.wanted) THEN 0 ELSE 1 END AS urgency
             FROM above FULL JOIN decided d USING (user_id, role) JOIN rule r USING (role)
             WHERE (above.plays >= r.grant_at AND d.wanted IS NOT TRUE AND NOT EXISTS (
                       -- after as long as they have been known as deleted
                       SELECT FROM users u WHERE u.user_id = above.user_id AND NOT $10
                           AND u.gone_at > now() - least($11::double precision * interval '1 second',
                               greatest(u.gone_at - u.gone_since, $7::double precision * interval '1 second'))))
                OR (above.plays IS NULL AND d.wanted AND r.revokes AND NOT d.gone)
                OR ($6 AND d.wanted AND NOT d.held AND NOT d.overruled AND NOT d.gone)
                OR ($6 AND NOT d.wanted AND d.held AND d.adopted AND NOT d.gone)
         )
         INSERT INTO nominations (user_id, urgency)
         SELECT user_id, min(urgency)::smallint FROM out
         -- a user queued before the comparison is not missed, even if an attempt ends meanwhile
         WHERE NOT EXISTS (SELECT FROM nominations n WHERE n.user_id = out.user_id)
         GROUP BY user_id ORDER BY user_id
         -- not even locked: an attempt may hold the row, and wait for one that holds another
         ON CONFLICT (user_id) DO NOTHING",
        &roles as &[&str],
        &grant_at,
        &revoke_below,
        &totals,
        &revokes,
        compare.writes,
        compare.gone_for.as_secs_f64(),
        from,
        to,
        changed,
        GONE_AT_LEAST_EVERY.as_secs_f64()
    );
    Ok(enqueued.execute(&mut *tx).await?.rows_affected())
}

/// Makes users of the slice due whose timer was set by a rule; returns their number.
pub(super) async fn wake_timers(tx: &mut Tx<'_>, from: &str, to: &str) -> Result<u64, StoreError> {
    let woken = sqlx::query!(
        "UPDATE nominations SET due_at = now(), nominated_at = now() WHERE user_id IN (
         SELECT user_id FROM nominations n WHERE user_id > $1 AND user_id <= $2
           AND due_at > now() AND lease IS NULL AND NOT observe AND attempts = 0 AND parked_at IS NULL AND held IS NULL
           AND EXISTS (SELECT FROM assignments a WHERE a.user_id = n.user_id AND a.below_since IS NOT NULL)
         FOR UPDATE SKIP LOCKED)",
        from,
        to
    );
    Ok(woken.execute(&mut *tx).await?.rows_affected())
}
