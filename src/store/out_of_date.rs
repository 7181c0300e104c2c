//! Users of a partition whose facts and decisions differ.
//!
//! Owns the comparison with given rules. Must never lock a user with a running attempt.

use std::time::Duration;

use super::{StoreError, Tx};
use rolekeeper_domain::rule::{Condition, Measure, OnExternalRemoval, Revoke, Rule, Rules};

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

/// The statement that finds these users, with the part behind its last table `out`; `from` and `to` bound the partition.
macro_rules! out_of_date {
    ($compare:expr, $changed:expr, ($from:expr, $to:expr), $then:tt) => {{
        let rules = $compare.rules.as_slice();
        let roles: Vec<&str> = rules.iter().map(|rule| rule.role.as_str()).collect();
        let grant_at: Vec<i64> = rules.iter().map(|rule| rule.grant_at).collect();
        let revoke_below: Vec<i64> = rules.iter().map(|rule| rule.revoke_below).collect();
        let which = |is: &dyn Fn(&Rule) -> bool| -> Vec<bool> { rules.iter().map(is).collect() };
        sqlx::query!(
            "WITH rule AS MATERIALIZED (
             SELECT *, not_blocked OR email_verified AS conditional
             FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::boolean[], $5::boolean[], $12::boolean[], $13::boolean[], $14::boolean[])
                 AS r(role, grant_at, revoke_below, totals, revokes, not_blocked, email_verified, respects)
         ), owner AS MATERIALIZED (
             -- playlists of a linked id count for its primary, which belongs to the partition by its own id
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
         ), pinned AS (
             -- those of a linked id count for its primary, and off outweighs on
             SELECT user_id, role, bool_and(state = 'on') AS pinned_on FROM (
                 SELECT user_id, role, state, until FROM pins WHERE user_id > $8 AND user_id <= $9 AND NOT EXISTS (SELECT FROM identities WHERE alias = user_id)
                 UNION ALL SELECT i.primary_id, p.role, p.state, p.until FROM identities i JOIN pins p ON p.user_id = i.alias WHERE i.primary_id > $8 AND i.primary_id <= $9
             ) AS of_person WHERE role = ANY($1::text[]) AND (until IS NULL OR until > now()) GROUP BY user_id, role
         ), decided AS (
             -- a pin outweighs the decision of the rules, and may stand without one
             SELECT user_id, role, coalesce(a.wanted, false) AS wanted, coalesce(a.has_role, false) AS has_role,
                 coalesce(a.adopted, false) OR p.pinned_on IS FALSE AS adopted, p.pinned_on,
                 coalesce(p.pinned_on, a.wanted AND NOT a.suppressed) AS due,
                 -- the data of deleted users is kept as it was; verification reads them again
                 EXISTS (SELECT FROM gone_users g WHERE g.user_id = coalesce(a.user_id, p.user_id)) AS gone
             FROM (SELECT * FROM assignments WHERE user_id > $8 AND user_id <= $9 AND role = ANY($1::text[])) AS a
             FULL JOIN pinned p USING (user_id, role)
         ), out AS (
             SELECT user_id, CASE WHEN d.pinned_on THEN 1 WHEN above.plays IS NULL OR (d.wanted AND d.has_role) OR (above.plays < r.grant_at AND NOT d.wanted) THEN 0 ELSE 1 END AS priority
             FROM above FULL JOIN decided d USING (user_id, role) JOIN rule r USING (role)
             WHERE (above.plays >= r.grant_at AND d.wanted IS NOT TRUE AND NOT EXISTS (
                       -- after as long as they have been known as deleted
                       SELECT FROM users u WHERE u.user_id = above.user_id AND NOT $10
                           AND u.gone_at > now() - least($11::double precision * interval '1 second',
                               greatest(u.gone_at - u.gone_since, $7::double precision * interval '1 second')))
                     -- a condition does not hold by the stored profile, or the profile cannot be read as a whole
                     AND NOT (r.conditional AND EXISTS (
                       SELECT FROM users u WHERE u.user_id = above.user_id AND u.fetched_at IS NOT NULL AND u.gone_at IS NULL
                         AND (u.profile IS NULL OR (r.not_blocked AND coalesce(u.profile -> 'blocked' NOT IN ('false', 'null'), false))
                           OR (r.email_verified AND u.profile -> 'email_verified' IS DISTINCT FROM 'true'::jsonb)))))
                OR (above.plays IS NULL AND d.wanted AND r.revokes AND NOT d.gone)
                -- an attempt that reads a profile decides by it, so only another rule can differ from it
                OR ($10 AND d.wanted AND r.revokes AND r.conditional AND NOT d.gone AND EXISTS (
                       SELECT FROM users u WHERE u.user_id = d.user_id AND u.fetched_at IS NOT NULL
                         AND ((r.not_blocked AND coalesce(u.profile -> 'blocked' NOT IN ('false', 'null'), false))
                           OR (r.email_verified AND u.profile -> 'email_verified' IS DISTINCT FROM 'true'::jsonb))))
                -- a removal that the brake holds, where the rule no longer respects removals
                OR (d.wanted AND NOT d.has_role AND NOT r.respects AND NOT d.gone AND EXISTS (
                       SELECT FROM removals m WHERE m.user_id = d.user_id AND m.role = d.role AND m.state = 'held'))
                OR ($6 AND d.due AND NOT d.has_role AND NOT d.gone)
                OR ($6 AND NOT d.due AND d.has_role AND d.adopted AND NOT d.gone)
         )"
            + $then,
            &roles as &[&str],
            &grant_at,
            &revoke_below,
            &which(&|rule| rule.of == Measure::AllPlaylists),
            &which(&|rule| rule.revoke == Revoke::On),
            $compare.writes,
            $compare.gone_for.as_secs_f64(),
            $from,
            $to,
            $changed,
            GONE_AT_LEAST_EVERY.as_secs_f64(),
            &which(&|rule| rule.only_if.contains(&Condition::NotBlocked)),
            &which(&|rule| rule.only_if.contains(&Condition::EmailVerified)),
            &which(&|rule| rule.manual == OnExternalRemoval::Respect)
        )
    }};
}

/// Enqueues users behind `from` and up to `to` if a rule's decision differs from the stored one.
pub(super) async fn enqueue(
    tx: &mut Tx<'_>,
    compare: &Compare<'_>,
    changed: bool,
    (from, to): (&str, &str),
) -> Result<u64, StoreError> {
    let enqueued = out_of_date!(
        compare,
        changed,
        (from, to),
        "
         INSERT INTO work_queue (user_id, priority)
         SELECT user_id, min(priority)::smallint FROM out
         -- a user queued before the comparison is not missed, even if an attempt ends meanwhile
         WHERE NOT EXISTS (SELECT FROM work_queue n WHERE n.user_id = out.user_id)
         GROUP BY user_id ORDER BY user_id
         -- not even locked: an attempt may hold the row, and wait for one that holds another
         ON CONFLICT (user_id) DO NOTHING"
    );
    Ok(enqueued.execute(&mut *tx).await?.rows_affected())
}

/// The users behind `from` and up to `to` for whom a change may follow from the rules, queued or not, in the order of ids.
pub(super) async fn candidates(
    tx: &mut Tx<'_>,
    compare: &Compare<'_>,
    (from, to): (&str, &str),
) -> Result<Vec<String>, StoreError> {
    let found = out_of_date!(
        compare,
        true,
        (from, to),
        "
         SELECT DISTINCT user_id AS \"user_id!\" FROM out ORDER BY 1"
    );
    Ok(found
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .map(|row| row.user_id)
        .collect())
}

/// Makes users of the partition due who wait for a timer, of a rule or of a pin; returns their number. The comparison skips them,
/// since they are in the queue. A pin says nothing about the user's other roles, so its end counts as no change of a role.
pub(super) async fn wake_timers(tx: &mut Tx<'_>, from: &str, to: &str) -> Result<u64, StoreError> {
    let woken = sqlx::query!(
        "UPDATE work_queue w SET due_at = now(), enqueued_at = now(), priority = timer.priority FROM (
             SELECT user_id, CASE WHEN EXISTS (SELECT FROM assignments a WHERE a.user_id = n.user_id AND a.below_since IS NOT NULL)
                 THEN priority ELSE 4 END::smallint AS priority
             FROM work_queue n WHERE user_id > $1 AND user_id <= $2
               AND due_at > now() AND enqueued_at > now() AND lease IS NULL AND NOT force_fetch AND attempts = 0
               AND parked_at IS NULL AND held_by IS NULL
             FOR UPDATE SKIP LOCKED
         ) AS timer
         WHERE w.user_id = timer.user_id",
        from,
        to
    );
    Ok(woken.execute(&mut *tx).await?.rows_affected())
}
