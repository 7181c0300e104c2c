//! Table `work_queue`: leases that ended attempts give back before their time, and users who cannot be claimed now.
//!
//! Owns that a lease is given back by its own id only. Must never take a user from another attempt.

use std::collections::HashSet;
use std::time::Duration;

use uuid::Uuid;

use super::{Claim, Store, StoreError, Tx};

/// Shortest and longest time before an attempt at a user whose rows another transaction had locked.
const LEAST_LOCKED_WAIT: Duration = Duration::from_secs(2);
const LONGEST_LOCKED_WAIT: Duration = Duration::from_mins(1);

/// Gives back, or postpones, users whose rows another transaction has locked; nothing counts as a failure. Each waits as long as it
/// has waited so far, within bounds, so that neither many of them nor a long lock takes the turns of others.
pub async fn postpone(tx: &mut Tx<'_>, claims: &[Claim]) -> Result<(), StoreError> {
    let users: Vec<&str> = claims.iter().map(|claim| claim.user.as_str()).collect();
    let leases: Vec<Uuid> = claims.iter().map(|claim| claim.lease).collect();
    let force_fetches: Vec<bool> = claims.iter().map(|claim| claim.force_fetch).collect();
    sqlx::query!(
        "UPDATE work_queue n SET lease = NULL, lease_until = NULL, force_fetch = n.force_fetch OR held.force_fetch,
             due_at = now() + least(greatest(now() - n.enqueued_at, $4::double precision * interval '1 second'),
                 $5::double precision * interval '1 second')
         FROM UNNEST($1::text[], $2::uuid[], $3::boolean[]) AS held(user_id, lease, force_fetch)
         WHERE n.user_id = held.user_id AND (n.lease = held.lease OR n.lease IS NULL OR n.lease_until < now()) AND n.parked_at IS NULL",
        &users as &[&str],
        &leases,
        &force_fetches,
        LEAST_LOCKED_WAIT.as_secs_f64(),
        LONGEST_LOCKED_WAIT.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// Gives back leases of attempts that have ended, each with the wait before the user's next attempt, which reads the
    /// profile. Returns the number of users that still had such a lease, and the users who have it still, since another
    /// transaction has locked the row.
    pub async fn give_back(
        &self,
        leases: impl Iterator<Item = (&str, Uuid, Duration)>,
    ) -> Result<(usize, HashSet<String>), StoreError> {
        let (mut users, mut ids, mut waits) = (vec![], vec![], vec![]);
        for (user, lease, wait) in leases {
            users.push(user);
            ids.push(lease);
            waits.push(wait.as_secs_f64());
        }
        let mut tx = self.begin().await?;
        let ended = sqlx::query!(
            r#"WITH ended AS MATERIALIZED (
                 SELECT n.user_id, n.lease, ended.wait_s FROM UNNEST($1::text[], $2::uuid[], $3::double precision[]) AS ended(user_id, lease, wait_s)
                 JOIN work_queue n ON n.user_id = ended.user_id AND n.lease = ended.lease
             ), ours AS (
                 SELECT n.user_id, ended.wait_s FROM ended JOIN work_queue n ON n.user_id = ended.user_id AND n.lease = ended.lease
                 FOR UPDATE OF n SKIP LOCKED
             ), given AS (
                 UPDATE work_queue n SET lease = NULL, lease_until = NULL, force_fetch = true,
                     due_at = greatest(now() + ours.wait_s * interval '1 second', n.debounce_until)
                 FROM ours WHERE n.user_id = ours.user_id RETURNING n.user_id
             )
             SELECT user_id AS "user!", user_id IN (SELECT user_id FROM given) AS "given!" FROM ended"#,
            &users as &[&str],
            &ids,
            &waits
        );
        let ended = ended.fetch_all(&mut tx).await?;
        tx.commit().await?;
        crash_point!("given_back");
        let (given, left): (Vec<_>, Vec<_>) = ended.into_iter().partition(|row| row.given);
        Ok((given.len(), left.into_iter().map(|row| row.user).collect()))
    }
}
