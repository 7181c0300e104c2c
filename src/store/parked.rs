//! Parked users, and refused display names, for a person: who waits since when and why, and making them due again.
//!
//! Owns the view on `nominations` and `display_names` that a person works with. Must never wake somebody who is not parked: who backs off
//! or is in hand keeps that.

use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

use super::{Store, StoreError, Wake, acts};
use rolekeeper_domain::act::Act;

/// Users that an act names.
const NAMED_AT_MOST: usize = 100;

/// A user nobody looks at until a person, a change of the profile or a day's end wakes them.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Auth0 user id.
    pub user: String,
    /// Since when.
    pub since: OffsetDateTime,
    /// Failed looks in a row, the one that parked included.
    pub attempts: i32,
    /// What that look said.
    pub why: String,
}

impl Store {
    /// Parked users, and those whose display name was refused, longest first, at most `most`.
    pub async fn parked(&self, most: i64) -> Result<Vec<Parked>, StoreError> {
        let rows = sqlx::query_as!(
            Parked,
            r#"SELECT user_id AS "user!", parked_at AS "since!", attempts AS "attempts!", coalesce(last_error, '') AS "why!"
               FROM nominations WHERE parked_at IS NOT NULL
               UNION ALL
               SELECT user_id, refused_at, 1, 'display name: ' || refusal FROM display_names WHERE refused IS NOT NULL
               ORDER BY 2, 1 LIMIT $1"#,
            most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// How many entries [`Self::parked`] has in all.
    pub async fn count_parked(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT (SELECT count(*) FROM nominations WHERE parked_at IS NOT NULL)
                    + (SELECT count(*) FROM display_names WHERE refused IS NOT NULL) AS "count!""#
        );
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Makes users due now, as if they had never failed, whose last look failed with one of these codes inside the last
    /// `within`: parked, or waiting to be looked at again. Answers which.
    pub async fn wake_failed(&self, codes: &[String], within: Duration) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        let woken = sqlx::query_scalar!(
            "WITH woken AS (
                 SELECT user_id FROM nominations
                 WHERE failure = ANY($1) AND failed_at >= now() - $2::double precision * interval '1 second'
                   AND held IS NULL AND (lease IS NULL OR lease_until < now())
                 ORDER BY user_id FOR UPDATE
             )
             UPDATE nominations n SET parked_at = NULL, attempts = 0, failure = NULL, observe = true, due_at = now()
             FROM woken WHERE n.user_id = woken.user_id RETURNING n.user_id",
            codes,
            within.as_secs_f64()
        )
        .fetch_all(&mut tx)
        .await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(woken)
    }

    /// Makes parked users due now, as if they had never failed, and lets refused display names be sent again; their
    /// profiles are read. All of them when `users` is none. Answers who was parked, or refused.
    pub async fn requeue(&self, users: Option<&[String]>, act: &Act) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        let mut requeued = sqlx::query_scalar!(
            "UPDATE nominations SET parked_at = NULL, attempts = 0, failure = NULL, observe = true, due_at = now()
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
            // Those who were not parked stay unnamed: they may have been erased.
            let named: &[String] = if users.is_some() { &requeued } else { &[] };
            let named = &named[..named.len().min(NAMED_AT_MOST)];
            let act = Act {
                arguments: json!({"all": users.is_none(), "users": named}),
                ..act.clone()
            };
            acts::keep(&mut tx, &act, &format!("{} requeued", requeued.len())).await?;
        }
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(requeued)
    }
}
