//! The sweep's queries on the queue, the audit and assignments: one small transaction per part.
//!
//! Owns the timers that no event wakes. Must never scan all users, nor hold locks of one part while another one runs.

use std::time::Duration;

use super::{Channel, Store, StoreError, gone};
use rolekeeper_domain::held::HeldBy;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::rule::Rules;

/// Users made due in one transaction.
const BATCH: i64 = 2_000;
/// Minimum time between two imports that invalidate verifications: holders are verified once for all imports of that
/// time.
const IMPORTS_APART: Duration = Duration::from_hours(1);

impl Store {
    /// Enqueues users with decided changes that are still open, `settle_delay` after their last attempt. Such a change has
    /// the priority of its kind. Returns the number of users.
    pub async fn sweep_left_over(&self, settle_delay: Duration) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let enqueued = sqlx::query!(
            "INSERT INTO work_queue (user_id, priority, force_fetch)
             SELECT user_id, CASE WHEN bool_or(change = 'revoked') THEN 0 ELSE 1 END::smallint, true FROM role_changes
             WHERE outcome IS NULL AND coalesce(attempted_at, decided_at) < now() - $1::double precision * interval '1 second'
             GROUP BY user_id ORDER BY user_id
             ON CONFLICT (user_id) DO NOTHING",
            settle_delay.as_secs_f64()
        )
        .execute(&mut tx)
        .await?
        .rows_affected();
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("left_over_queued");
        Ok(enqueued)
    }

    /// Makes users due who have been parked for longer than `after`.
    pub async fn wake_parked(&self, after: Duration) -> Result<(), StoreError> {
        loop {
            let mut tx = self.begin().await?;
            let woken = sqlx::query!(
                "WITH woken AS (
                     SELECT user_id FROM work_queue WHERE parked_at < now() - $1::double precision * interval '1 second'
                     ORDER BY user_id LIMIT $2 FOR UPDATE
                 )
                 UPDATE work_queue n SET parked_at = NULL, attempts = 0, due_at = now() FROM woken WHERE n.user_id = woken.user_id",
                after.as_secs_f64(),
                BATCH
            );
            let woken = woken.execute(&mut tx).await?.rows_affected();
            Channel::WorkQueue.send(&mut tx).await?;
            tx.commit().await?;
            crash_point!("parked_woken");
            if woken < BATCH.unsigned_abs() {
                return Ok(());
            }
        }
    }

    /// Makes held users due: those held for a stream's loss once no loss is recorded, those of an import that is released, those
    /// with a rule whose decision changes now, and those that a release left behind because it was interrupted.
    pub async fn wake_held(&self) -> Result<(), StoreError> {
        let left = self.marks_of_ended_brakes().await?;
        while self.wake_marked(&left, BATCH).await? >= BATCH.unsigned_abs() {}
        loop {
            let mut tx = self.begin().await?;
            let woken = sqlx::query!(
                "WITH woken AS (
                     SELECT user_id FROM work_queue
                     WHERE held_until <= now()
                        OR (held_by = 'stream_loss' AND NOT EXISTS (SELECT FROM stream_losses WHERE accepted_at IS NULL)
                            AND NOT EXISTS (SELECT FROM forgotten_changes WHERE holds))
                        OR (held_by = 'import' AND NOT EXISTS (SELECT FROM import_users))
                     ORDER BY user_id LIMIT $1 FOR UPDATE
                 )
                 UPDATE work_queue n SET held_by = NULL, held_until = NULL, force_fetch = true, due_at = now()
                 FROM woken WHERE n.user_id = woken.user_id",
                BATCH
            );
            let woken = woken.execute(&mut tx).await?.rows_affected();
            Channel::WorkQueue.send(&mut tx).await?;
            tx.commit().await?;
            crash_point!("held_woken");
            if woken < BATCH.unsigned_abs() {
                return Ok(());
            }
        }
    }

    /// Marks of users that a brake may have held and holds no longer.
    async fn marks_of_ended_brakes(&self) -> Result<Vec<&'static str>, StoreError> {
        let engaged = sqlx::query!(
            r#"SELECT coalesce(bool_or(engaged_at IS NOT NULL) FILTER (WHERE change = 'revoked'), false) AS "revokes!",
                   coalesce(bool_or(engaged_at IS NOT NULL) FILTER (WHERE change = 'granted'), false) AS "grants!",
                   (SELECT engaged_at IS NOT NULL FROM gone_brake) AS "gone!"
               FROM brakes"#
        );
        let engaged = engaged.fetch_one(&self.pool).await?;
        let held = [
            (HeldBy::Brake(RoleChange::Revoked), engaged.revokes),
            (HeldBy::Brake(RoleChange::Granted), engaged.grants),
            (HeldBy::BothBrakes, engaged.revokes && engaged.grants),
            (HeldBy::GoneBrake, engaged.gone),
        ];
        let ended = held.into_iter().filter(|(_, engaged)| !engaged);
        Ok(ended.map(|(mark, _)| mark.as_str()).collect())
    }

    /// Enqueues at most `most` holders whose last verification is older than `verify_after`, oldest first, unless as
    /// many are already waiting. A role that stays removed needs no verification once its user is gone for long: a record of the
    /// user causes the next read. Returns the number of users.
    pub async fn sweep_paid(
        &self,
        rules: &Rules,
        verify_after: Duration,
        most: i64,
    ) -> Result<u64, StoreError> {
        let roles: Vec<&str> = rules.as_slice().iter().map(|rule| rule.role.as_str()).collect();
        let mut tx = self.begin().await?;
        // An import invalidates older verifications: at most once an hour, however many imports there are.
        sqlx::query!(
            "UPDATE reverify SET before = reported_at WHERE reported_at > before AND before < now() - $1::double precision * interval '1 second'",
            IMPORTS_APART.as_secs_f64()
        )
        .execute(&mut tx)
        .await?;
        let enqueued = sqlx::query!(
            "WITH room AS MATERIALIZED (
                 SELECT greatest($3 - count(*), 0) AS left_over FROM work_queue WHERE priority = 4 AND parked_at IS NULL AND held_by IS NULL
             ), void AS MATERIALIZED (
                 SELECT greatest(now() - $2::double precision * interval '1 second', (SELECT before FROM reverify)) AS verified
             ), stale AS (
                 SELECT oldest.user_id, min(oldest.verified) AS verified FROM UNNEST($1::text[]) AS of(role)
                 CROSS JOIN LATERAL (
                     SELECT a.user_id, coalesce(a.verified_at, '-infinity'::timestamptz) AS verified FROM assignments a
                     WHERE a.role = of.role AND (a.has_role OR a.wanted)
                       AND coalesce(a.verified_at, '-infinity'::timestamptz) < (SELECT verified FROM void)
                       -- a role that stays removed of a user who stays gone
                       AND NOT (a.suppressed AND EXISTS (SELECT FROM users u WHERE u.user_id = a.user_id
                           AND u.gone_since < now() - $4::double precision * interval '1 second'))
                       -- a parked, held or queued user must not block the others forever; a timer (enqueued for a later
                       -- time, by no event since) does not count as queued
                       AND NOT EXISTS (SELECT FROM work_queue n WHERE n.user_id = a.user_id
                           AND (n.enqueued_at <= now() OR n.due_at <= now() OR n.lease IS NOT NULL OR n.force_fetch))
                     ORDER BY coalesce(a.verified_at, '-infinity'::timestamptz) LIMIT (SELECT left_over FROM room)
                 ) AS oldest
                 GROUP BY oldest.user_id ORDER BY 2 LIMIT (SELECT left_over FROM room)
             )
             INSERT INTO work_queue AS n (user_id, priority, force_fetch)
             SELECT user_id, 4::smallint, true FROM stale ORDER BY user_id
             ON CONFLICT (user_id) DO UPDATE SET
                 priority = 4, force_fetch = true, generation = n.generation + 1, due_at = now(), enqueued_at = now()
             WHERE n.enqueued_at > now() AND n.due_at > now() AND n.lease IS NULL AND NOT n.force_fetch",
            &roles as &[&str],
            verify_after.as_secs_f64(),
            most,
            gone::KEPT.as_secs_f64()
        )
        .execute(&mut tx)
        .await?
        .rows_affected();
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("verifications_queued");
        Ok(enqueued)
    }

    /// Age of the oldest verification, as above, of a holder of these rules' roles; `None` without holders. For a holder that was
    /// never verified, the age since the role was seen.
    pub async fn oldest_verification(&self, rules: &Rules) -> Result<Option<Duration>, StoreError> {
        let roles: Vec<&str> = rules.as_slice().iter().map(|rule| rule.role.as_str()).collect();
        let mut tx = self.begin().await?;
        let oldest = sqlx::query_scalar!(
            "SELECT extract(epoch FROM now() - min(coalesce(oldest.verified_at, oldest.since)))::double precision
             FROM UNNEST($1::text[]) AS of(role)
             CROSS JOIN LATERAL (
                 SELECT a.verified_at, a.since FROM assignments a WHERE a.role = of.role AND (a.has_role OR a.wanted)
                   AND NOT (a.suppressed AND EXISTS (SELECT FROM users u WHERE u.user_id = a.user_id
                       AND u.gone_since < now() - $2::double precision * interval '1 second'))
                 ORDER BY coalesce(a.verified_at, '-infinity'::timestamptz) LIMIT 1
             ) AS oldest",
            &roles as &[&str],
            gone::KEPT.as_secs_f64()
        );
        let seconds = oldest.fetch_one(&mut tx).await?;
        Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }
}
