//! Table `rules_in_force`, and the comparison of all facts with all decisions.
//!
//! Owns who is out of step under given rules. Must never change rules without nominating whom it affects, in
//! the same transaction.

use std::time::Duration;

use super::{Store, StoreError, Tx, Wake};
use crate::domain::rule::{Measure, Revoke, Rule, Rules};

/// Whether our rules are the ones in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// They were in force already.
    Already,
    /// They are now; so many users were nominated.
    TakenOver(u64),
}

impl Store {
    /// Puts `rules` in force and nominates everybody they affect, unless they are in force already.
    pub async fn put_rules_in_force(&self, rules: &Rules, writes: bool) -> Result<InForce, StoreError> {
        let mut tx = self.begin().await?;
        let taken = sqlx::query!(
            "INSERT INTO rules_in_force AS r (fingerprint, rules) VALUES ($1, $2)
             ON CONFLICT (only_row) DO UPDATE SET fingerprint = excluded.fingerprint, rules = excluded.rules, since = now()
             WHERE r.fingerprint <> excluded.fingerprint",
            rules.fingerprint(),
            serde_json::to_value(rules.as_slice()).unwrap_or_default()
        );
        if taken.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(InForce::Already);
        }
        // A fold under the old rules that has not committed yet must not: it would miss what the new ones ask for.
        sqlx::query!("UPDATE stream_cursors SET epoch = epoch + 1")
            .execute(&mut tx)
            .await?;
        if rules.need_totals() {
            super::owner_totals::rebuild(&mut tx).await?;
        }
        let mut nominated = 0;
        for rule in rules.as_slice() {
            nominated += nominate_out_of_step(&mut tx, rule, writes, Duration::ZERO).await?;
        }
        nominated += wake_timers(&mut tx).await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(InForce::TakenOver(nominated))
    }

    /// Whether the rules with this fingerprint are in force.
    pub async fn rules_are_in_force(&self, fingerprint: &str) -> Result<bool, StoreError> {
        let same = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM rules_in_force WHERE fingerprint = $1) AS "same!""#,
            fingerprint
        );
        Ok(same.fetch_one(&self.pool).await?)
    }

    /// Nominates users whose facts and decisions differ under one rule, and those unknown to Auth0 for longer than
    /// `gone_for`. Returns how many.
    pub async fn sweep_rule(&self, rule: &Rule, writes: bool, gone_for: Duration) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let nominated = nominate_out_of_step(&mut tx, rule, writes, gone_for).await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(nominated)
    }
}

/// Nominates users for whom `rule` says something else than was decided; with `writes`, also those whose role
/// is not what was decided (decided in shadow mode, say). Users whom Auth0 does not know are asked for again
/// once they have been gone for `gone_for`.
async fn nominate_out_of_step(
    tx: &mut Tx<'_>,
    rule: &Rule,
    writes: bool,
    gone_for: Duration,
) -> Result<u64, StoreError> {
    let nominated = sqlx::query!(
        "INSERT INTO nominations (user_id, urgency)
         SELECT coalesce(above.user_id, a.user_id), CASE WHEN above.user_id IS NULL OR (above.plays < $3 AND NOT a.wanted) THEN 0 ELSE 1 END::smallint
         FROM (
             -- a user below the lower line is the same as one without plays
             SELECT user_id, plays FROM (
                 SELECT owner_id AS user_id,
                     CASE WHEN $5 THEN sum(greatest(plays, 0))::bigint ELSE max(plays) END AS plays
                 FROM playlists WHERE owner_id IS NOT NULL AND NOT deleted GROUP BY owner_id
             ) AS measured WHERE plays >= $2
         ) AS above
         FULL JOIN (SELECT * FROM assignments WHERE role = $1) AS a ON a.user_id = above.user_id
         -- of users who are gone all is kept as it was; they are asked for when they are verified
         LEFT JOIN gone_users g ON g.user_id = a.user_id
         WHERE (above.plays >= $3 AND a.wanted IS NOT TRUE AND NOT EXISTS (
                   SELECT FROM users u WHERE u.user_id = above.user_id
                       AND u.gone_at > now() - $7::double precision * interval '1 second'))
            OR (above.plays IS NULL AND a.wanted AND $6 AND g.user_id IS NULL)
            OR ($4 AND a.wanted AND NOT a.held AND NOT a.overruled AND g.user_id IS NULL)
            OR ($4 AND NOT a.wanted AND a.held AND a.adopted AND g.user_id IS NULL)
         ORDER BY 1
         ON CONFLICT (user_id) DO NOTHING",
        rule.role,
        rule.revoke_below,
        rule.grant_at,
        writes,
        rule.of == Measure::AllPlaylists,
        rule.revoke == Revoke::On,
        gone_for.as_secs_f64()
    );
    Ok(nominated.execute(&mut *tx).await?.rows_affected())
}

/// Makes users due who only wait for the end of a time that a rule gave them; answers how many.
async fn wake_timers(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    let woken = sqlx::query!(
        "UPDATE nominations n SET due_at = now(), nominated_at = now()
         WHERE due_at > now() AND lease IS NULL AND NOT observe AND attempts = 0 AND parked_at IS NULL AND held IS NULL
           AND EXISTS (SELECT FROM assignments a WHERE a.user_id = n.user_id AND a.below_since IS NOT NULL)"
    );
    Ok(woken.execute(&mut *tx).await?.rows_affected())
}
