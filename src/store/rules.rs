//! What the sweep nominates beside the comparison of facts with decisions: what was left over, and who is to be verified.
//!
//! Owns who has been left over. Must never nominate a user whom another part of the sweep holds back.

use std::time::Duration;

use super::{Store, StoreError, Wake};
use crate::domain::rule::Rules;

/// Least time between two imports that make verifications void: holders are verified once for all imports of that time.
const IMPORTS_APART: Duration = Duration::from_hours(1);

impl Store {
    /// The free half of the sweep, beside the rounds of [`super::walk`]: nominates users with changes that were decided and
    /// left over (`settle` after their last attempt), and wakes those parked for longer than `parked_for`.
    pub async fn sweep_free(&self, settle: Duration, parked_for: Duration) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let nominated = sqlx::query!(
            "INSERT INTO nominations (user_id, urgency, observe)
             SELECT DISTINCT user_id, 0::smallint, true FROM role_changes
             WHERE outcome IS NULL AND coalesce(attempted_at, decided_at) < now() - $1::double precision * interval '1 second'
             ORDER BY 1
             ON CONFLICT (user_id) DO NOTHING",
            settle.as_secs_f64()
        )
        .execute(&mut tx)
        .await?
        .rows_affected();
        super::nominations::wake_parked(&mut tx, parked_for).await?;
        if !super::cursors::any_open_loss(&mut tx).await? {
            super::nominations::release_held(&mut tx).await?;
        }
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(nominated)
    }

    /// The paid half: nominates at most `most` holders whose last verification is older than `verify_after`,
    /// oldest first, unless as many are waiting already.
    pub async fn sweep_paid(
        &self,
        rules: &Rules,
        verify_after: Duration,
        most: i64,
    ) -> Result<u64, StoreError> {
        let roles: Vec<&str> = rules.as_slice().iter().map(|rule| rule.role.as_str()).collect();
        let mut tx = self.begin().await?;
        // An import makes older verifications void: at most once an hour, however many there are.
        sqlx::query!(
            "UPDATE verify_anew SET before = told_at WHERE told_at > before AND before < now() - $1::double precision * interval '1 second'",
            IMPORTS_APART.as_secs_f64()
        )
        .execute(&mut tx)
        .await?;
        let nominated = sqlx::query!(
            "INSERT INTO nominations AS n (user_id, urgency, observe)
             SELECT user_id, 4::smallint, true FROM (
                 SELECT user_id, min(coalesce(verified_at, '-infinity')) AS oldest FROM assignments a
                 WHERE role = ANY($1::text[]) AND (held OR wanted)
                   AND coalesce(verified_at, '-infinity') < greatest(now() - $2::double precision * interval '1 second',
                       (SELECT before FROM verify_anew))
                   -- who is parked or held, or waits for a turn, must not stand before the others for ever; a timer
                   -- (nominated for a time to come, and by nobody since) is no turn
                   AND NOT EXISTS (SELECT FROM nominations n WHERE n.user_id = a.user_id
                       AND (n.nominated_at <= now() OR n.due_at <= now() OR n.lease IS NOT NULL OR n.observe))
                 GROUP BY user_id ORDER BY oldest
                 LIMIT greatest($3 - (SELECT count(*) FROM nominations WHERE urgency = 4), 0)
             ) AS stale ORDER BY user_id
             ON CONFLICT (user_id) DO UPDATE SET
                 urgency = 4, observe = true, generation = n.generation + 1, due_at = now(), nominated_at = now()
             WHERE n.nominated_at > now() AND n.due_at > now() AND n.lease IS NULL AND NOT n.observe",
            &roles as &[&str],
            verify_after.as_secs_f64(),
            most
        )
        .execute(&mut tx)
        .await?
        .rows_affected();
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(nominated)
    }
}
