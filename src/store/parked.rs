//! Parked users and refused display names for the operator: since when and why, and making them due again.
//!
//! Owns the operator's view of `work_queue` and `display_names`. Must never make a user due who is not parked: a retry
//! delay or a running attempt stays.

use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

use super::slices::SLICE;
use super::{Channel, Store, StoreError, Tx, acts, display_names};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::view::cut;
use rolekeeper_domain::view::parked::{Parked, ParkedPage};

/// Maximum number of users named in an act.
const NAMED_AT_MOST: usize = 100;

impl Store {
    /// Parked users, and those whose display name was refused, longest first, at most `most`; from behind `after`, a time and a
    /// user of the page before.
    pub async fn parked(
        &self,
        after: Option<(OffsetDateTime, &str)>,
        most: i64,
    ) -> Result<ParkedPage, StoreError> {
        let (since, user) = after.unzip();
        let rows = sqlx::query_as!(
            Parked,
            r#"(SELECT user_id AS "user_id!", parked_at AS "parked_at!", attempts AS "attempts!", coalesce(last_error, '') AS "reason!"
                FROM work_queue WHERE parked_at IS NOT NULL AND ($2::timestamptz IS NULL OR (parked_at, user_id) > ($2, $3::text))
                ORDER BY parked_at, user_id LIMIT $1)
               UNION ALL
               (SELECT user_id, refused_at, 1, 'display name: ' || refusal FROM display_names
                WHERE refused IS NOT NULL AND ($2::timestamptz IS NULL OR (refused_at, user_id) > ($2, $3::text))
                ORDER BY refused_at, user_id LIMIT $1)
               ORDER BY 2, 1 LIMIT $1"#,
            most.saturating_add(1),
            since,
            user
        );
        let mut users = rows.fetch_all(&self.pool).await?;
        let more = cut(&mut users, most);
        Ok(ParkedPage { users, more })
    }

    /// Number of users of [`Self::parked`].
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
        crash_point!("failed_woken");
        Ok(woken)
    }

    /// Makes those of the users due now who are parked, with no failures counted, and allows refused display names again; their
    /// profiles are read. Returns the users that were parked or refused.
    pub async fn requeue(&self, users: &[String], act: &Act) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        let requeued = requeue(&mut tx, users).await?;
        if !requeued.is_empty() {
            // Users that were not parked stay unnamed: they may have been erased.
            let named = &requeued[..requeued.len().min(NAMED_AT_MOST)];
            let act = Act {
                arguments: json!({"all": false, "users": named}),
                ..act.clone()
            };
            acts::keep(&mut tx, &act, &outcome(requeued.len() as u64)).await?;
        }
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("requeued");
        Ok(requeued)
    }

    /// Does the same for the next users of all, in one short transaction. Call it until it returns false. Users that are
    /// parked meanwhile stay parked.
    pub async fn requeue_next(&self, all: &mut RequeueAll, act: &Act) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let next = all.next(&mut tx).await?;
        let requeued = requeue(&mut tx, &next).await?.len() as u64;
        let full = next.len() as u64 >= SLICE.unsigned_abs();
        let ended = !full && all.names_after.is_some();
        let total = all.users + requeued;
        if full && !all.begun {
            // Of an interrupted command this is the only trace in the acts.
            acts::keep(&mut tx, act, "begun").await?;
        }
        if ended && total > 0 {
            acts::keep(&mut tx, act, &outcome(total)).await?;
        }
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("slice_requeued");
        all.users = total;
        all.begun |= full;
        match (&mut all.names_after, next.into_iter().last()) {
            (Some(after), Some(last)) => *after = last,
            (None, _) if !full => all.names_after = Some(String::new()),
            _ => {}
        }
        Ok(!ended)
    }
}

/// A requeue of all parked users, and of all whose display name was refused.
#[derive(Debug, Default)]
pub struct RequeueAll {
    /// Users requeued so far.
    pub users: u64,
    began_at: Option<OffsetDateTime>,
    begun: bool,
    /// The last user with a refused name; `None` until no user is parked.
    names_after: Option<String>,
}

impl RequeueAll {
    /// The next users.
    async fn next(&mut self, tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
        if let Some(after) = &self.names_after {
            return display_names::refused(tx, after, SLICE).await;
        }
        let next = sqlx::query!(
            r#"SELECT user_id, coalesce($1, now()) AS "began_at!" FROM work_queue
               WHERE parked_at <= coalesce($1, now()) ORDER BY parked_at LIMIT $2"#,
            self.began_at,
            SLICE
        );
        let next = next.fetch_all(&mut *tx).await?;
        self.began_at = next.first().map(|row| row.began_at).or(self.began_at);
        Ok(next.into_iter().map(|row| row.user_id).collect())
    }
}

/// Requeues those of the users who are parked or whose display name was refused. Locks them in the same order as folds.
async fn requeue(tx: &mut Tx<'_>, users: &[String]) -> Result<Vec<String>, StoreError> {
    let mut requeued = sqlx::query_scalar!(
        "WITH parked AS (
             SELECT user_id FROM work_queue WHERE user_id = ANY($1::text[]) AND parked_at IS NOT NULL ORDER BY user_id FOR UPDATE
         )
         UPDATE work_queue n SET parked_at = NULL, attempts = 0, failure = NULL, force_fetch = true, due_at = now()
         FROM parked WHERE n.user_id = parked.user_id RETURNING n.user_id",
        users
    )
    .fetch_all(&mut *tx)
    .await?;
    requeued.extend(display_names::retry(tx, users).await?);
    requeued.sort_unstable();
    requeued.dedup();
    Ok(requeued)
}

fn outcome(users: u64) -> String {
    format!("{users} requeued")
}
