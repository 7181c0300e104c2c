//! Parked users and refused display names for the operator: since when and why, and making them due again.
//!
//! Owns the operator's view of `work_queue` and `display_names`. Must never make a user due who is not parked: a retry
//! delay or a running attempt stays.

use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

use super::{Channel, Store, StoreError, acts};
use rolekeeper_domain::act::Act;

/// Maximum number of users named in an act.
const NAMED_AT_MOST: usize = 100;

/// A user without attempts until the operator, a change of the profile or the end of a day makes the user due.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Auth0 user id.
    pub user: String,
    /// Time since which the user is parked.
    pub since: OffsetDateTime,
    /// Consecutive failed attempts, including the one that parked the user.
    pub attempts: i32,
    /// The reason given by that attempt.
    pub why: String,
}

impl Store {
    /// Parked users, and those whose display name was refused, longest first, at most `most`.
    pub async fn parked(&self, most: i64) -> Result<Vec<Parked>, StoreError> {
        let rows = sqlx::query_as!(
            Parked,
            r#"SELECT user_id AS "user!", parked_at AS "since!", attempts AS "attempts!", coalesce(last_error, '') AS "why!"
               FROM work_queue WHERE parked_at IS NOT NULL
               UNION ALL
               SELECT user_id, refused_at, 1, 'display name: ' || refusal FROM display_names WHERE refused IS NOT NULL
               ORDER BY 2, 1 LIMIT $1"#,
            most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Number of entries of [`Self::parked`].
    pub async fn count_parked(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT (SELECT count(*) FROM work_queue WHERE parked_at IS NOT NULL)
                    + (SELECT count(*) FROM display_names WHERE refused IS NOT NULL) AS "count!""#
        );
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Makes users due now, with no failures counted, whose last attempt failed with one of these codes within
    /// `within`: parked or in retry delay. Returns the users.
    pub async fn wake_failed(&self, codes: &[String], within: Duration) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        let woken = sqlx::query_scalar!(
            "WITH woken AS (
                 SELECT user_id FROM work_queue
                 WHERE failure = ANY($1) AND failed_at >= now() - $2::double precision * interval '1 second'
                   AND held_by IS NULL AND (lease IS NULL OR lease_until < now())
                 ORDER BY user_id FOR UPDATE
             )
             UPDATE work_queue n SET parked_at = NULL, attempts = 0, failure = NULL, force_fetch = true, due_at = now()
             FROM woken WHERE n.user_id = woken.user_id RETURNING n.user_id",
            codes,
            within.as_secs_f64()
        )
        .fetch_all(&mut tx)
        .await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        Ok(woken)
    }

    /// Makes parked users due now, with no failures counted, and allows refused display names again; their profiles are
    /// read. Applies to all users if `users` is `None`. Returns the users that were parked or refused.
    pub async fn requeue(&self, users: Option<&[String]>, act: &Act) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        let mut requeued = sqlx::query_scalar!(
            "UPDATE work_queue SET parked_at = NULL, attempts = 0, failure = NULL, force_fetch = true, due_at = now()
             WHERE parked_at IS NOT NULL AND ($1::text[] IS NULL OR user_id = ANY($1))
             RETURNING user_id",
            users
        )
        .fetch_all(&mut tx)
        .await?;
        for user in super::display_names::retry(&mut tx, users).await? {
            if !requeued.contains(&user) {
                requeued.push(user);
            }
        }
        if !requeued.is_empty() {
            // Users that were not parked stay unnamed: they may have been erased.
            let named: &[String] = if users.is_some() { &requeued } else { &[] };
            let named = &named[..named.len().min(NAMED_AT_MOST)];
            let act = Act {
                arguments: json!({"all": users.is_none(), "users": named}),
                ..act.clone()
            };
            acts::keep(&mut tx, &act, &format!("{} requeued", requeued.len())).await?;
        }
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        Ok(requeued)
    }
}
