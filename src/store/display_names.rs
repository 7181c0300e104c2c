//! Table `display_names`: display names that users requested, and names that Auth0 refused.
//!
//! Owns which request is the newest. Must never mark a newer request as done, nor lose one that was not written.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::slices::SLICE;
use super::{Enqueue, Priority, Store, StoreError, Tx, erasures, work_queue};
use rolekeeper_domain::display_name::DisplayName;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::snapshot::DisplayNameState;

/// The requested name.
pub fn request(names: &DisplayNameState) -> Result<Option<NameRequest>, StoreError> {
    let Some((id, requested)) = &names.requested else {
        return Ok(None);
    };
    let name = DisplayName::parse(requested.clone()).map_err(|_| StoreError::Inconsistent {
        table: "display_names",
        column: "requested",
        value: requested.clone(),
    })?;
    Ok(Some(NameRequest { id: *id, name }))
}

/// A display name that the user requested.
#[derive(Clone, Debug)]
pub struct NameRequest {
    /// Unique id of this request.
    pub id: Uuid,
    /// The name.
    pub name: DisplayName,
}

/// Minimum time between two writes caused by one user's requests alone. The newest requested name is shown at once, and
/// it is the one written.
pub const NAMES_APART: Duration = Duration::from_mins(1);

/// Marks this request as done. A newer one stays.
pub async fn mark_applied(tx: &mut Tx<'_>, user: &str, request: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH noted AS (
             INSERT INTO display_name_writes (user_id) VALUES ($1) ON CONFLICT (user_id) DO UPDATE SET written_at = now(), refused = false
         )
         DELETE FROM display_names WHERE user_id = $1 AND request_id = $2",
        user,
        request
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Ends what was requested or refused before `at`: for an earlier account of the id.
pub async fn end_before(tx: &mut Tx<'_>, user: &str, at: OffsetDateTime) -> Result<bool, StoreError> {
    let ended = sqlx::query!(
        "DELETE FROM display_names WHERE user_id = $1 AND coalesce(requested_at, refused_at) < $2",
        user,
        at
    );
    Ok(ended.execute(&mut *tx).await?.rows_affected() > 0)
}

/// Stores that Auth0 refused a write with this name, and the reason. The request stays. A request newer than `request` was
/// not refused.
pub async fn refuse(
    tx: &mut Tx<'_>,
    user: &str,
    (name, request): (&DisplayName, Option<Uuid>),
    why: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH noted AS (
             INSERT INTO display_name_writes (user_id, refused) VALUES ($1, true)
             ON CONFLICT (user_id) DO UPDATE SET written_at = now(), refused = true
         )
         INSERT INTO display_names AS d (user_id, refused, refused_at, refusal) VALUES ($1, $2, now(), $3)
         ON CONFLICT (user_id) DO UPDATE SET
             refused = excluded.refused, refused_at = excluded.refused_at, refusal = excluded.refusal
         WHERE d.request_id IS NOT DISTINCT FROM $4",
        user,
        name.as_str(),
        why,
        request
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The next users behind `after` whose name was refused.
pub(super) async fn refused(tx: &mut Tx<'_>, after: &str, most: i64) -> Result<Vec<String>, StoreError> {
    let refused = sqlx::query_scalar!(
        "SELECT user_id FROM display_names WHERE refused IS NOT NULL AND user_id > $1 ORDER BY user_id LIMIT $2",
        after,
        most
    );
    Ok(refused.fetch_all(&mut *tx).await?)
}

/// Allows names again that were refused for these users. Returns the users.
pub(super) async fn retry(tx: &mut Tx<'_>, users: &[String]) -> Result<Vec<String>, StoreError> {
    let refused = sqlx::query_scalar!(
        "SELECT user_id FROM display_names WHERE refused IS NOT NULL AND user_id = ANY($1::text[])",
        users
    )
    .fetch_all(&mut *tx)
    .await?;
    let entry = |user: &String| Enqueue::to_read(user, Priority::DisplayName);
    let mut entries: Vec<Enqueue> = refused.iter().map(entry).collect();
    // Locks the queue first, in the same order as reconcile.
    work_queue::enqueue(tx, &mut entries).await?;
    sqlx::query!(
        "WITH noted AS (
             UPDATE display_name_writes SET refused = false WHERE user_id = ANY($1::text[])
         ), requested AS (
             UPDATE display_names SET refused = NULL, refused_at = NULL, refusal = NULL
             WHERE user_id = ANY($1::text[]) AND request_id IS NOT NULL
         )
         DELETE FROM display_names WHERE user_id = ANY($1::text[]) AND request_id IS NULL",
        &refused
    )
    .execute(&mut *tx)
    .await?;
    Ok(refused)
}

/// The entry of a user who has requested a name.
fn requested(user: String) -> Enqueue {
    Enqueue {
        user,
        priority: Priority::DisplayName,
        // The request itself makes an attempt read the profile; a running attempt has done so.
        force_fetch: false,
        cause: None,
        flapping: false,
    }
}

impl Store {
    /// Stores the name that the user requests, in place of any earlier request, and enqueues the user. Reconcile writes
    /// it to the profile.
    pub async fn request_display_name(
        &self,
        user: &UserId<'_>,
        name: &DisplayName,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        erasures::refuse(&mut tx, self.erasure_key(), user.as_str()).await?;
        let mut entry = [requested(user.as_str().to_owned())];
        // Locks the queue first, in the same order as reconcile. Of two requests, the one that waits for this lock is
        // the newer.
        work_queue::enqueue(&mut tx, &mut entry).await?;
        sqlx::query!(
            "INSERT INTO display_names (user_id, request_id, requested, requested_at) VALUES ($1, $2, $3, clock_timestamp())
             ON CONFLICT (user_id) DO UPDATE SET request_id = excluded.request_id, requested = excluded.requested,
                 requested_at = excluded.requested_at, refused = NULL, refused_at = NULL, refusal = NULL",
            user.as_str(),
            Uuid::now_v7(),
            name.as_str()
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        crash_point!("requested");
        Ok(())
    }

    /// The display name of the user: the requested one unless Auth0 refused it, else the one in the last read profile.
    /// `None` if there is none, or no text.
    pub async fn display_name(&self, user: &UserId<'_>) -> Result<Option<String>, StoreError> {
        let name = sqlx::query_scalar!(
            r#"SELECT coalesce(
                   (SELECT requested FROM display_names WHERE user_id = $1 AND refused IS NULL),
                   (SELECT profile #>> '{user_metadata,displayName}' FROM users
                    WHERE user_id = $1 AND jsonb_typeof(profile #> '{user_metadata,displayName}') = 'string')
               ) AS name"#,
            user.as_str()
        );
        Ok(name.fetch_one(&self.pool).await?)
    }

    /// Allows names again that were refused longer than `after` ago.
    pub async fn end_refusals(&self, after: Duration) -> Result<(), StoreError> {
        sqlx::query!(
            "DELETE FROM display_names
             WHERE request_id IS NULL AND refused_at < now() - $1::double precision * interval '1 second'",
            after.as_secs_f64()
        )
        .execute(&self.pool)
        .await?;
        crash_point!("applied_removed");
        sqlx::query!(
            "UPDATE display_names SET refused = NULL, refused_at = NULL, refusal = NULL
             WHERE request_id IS NOT NULL AND refused_at < now() - $1::double precision * interval '1 second'",
            after.as_secs_f64()
        )
        .execute(&self.pool)
        .await?;
        crash_point!("refusals_ended");
        Ok(())
    }

    /// Enqueues the users of the next requests behind the user `after` that would otherwise not be written, such as those from
    /// shadow mode. Returns the number of users, and the last user of the slice unless it was the last slice.
    pub async fn queue_names(&self, after: &str) -> Result<(u64, Option<String>), StoreError> {
        let mut tx = self.begin().await?;
        let slice = sqlx::query!(
            r#"SELECT user_id, NOT EXISTS (SELECT FROM gone_users g WHERE g.user_id = d.user_id)
               -- a timer or held changes do not replace an attempt
               AND NOT EXISTS (SELECT FROM work_queue n WHERE n.user_id = d.user_id AND n.held_by IS NULL
                   AND (n.enqueued_at <= now() OR n.due_at <= now() OR n.lease IS NOT NULL)) AS "is_left!"
               FROM (SELECT user_id FROM display_names WHERE requested IS NOT NULL AND refused IS NULL AND user_id > $1
                   ORDER BY user_id LIMIT $2) AS d ORDER BY user_id"#,
            after,
            SLICE
        );
        let slice = slice.fetch_all(&mut tx).await?;
        let is_full = slice.len() as u64 >= SLICE.unsigned_abs();
        let last = slice.last().filter(|_| is_full).map(|row| row.user_id.clone());
        let left = slice.into_iter().filter(|row| row.is_left);
        let mut entries: Vec<Enqueue> = left.map(|row| requested(row.user_id)).collect();
        work_queue::enqueue(&mut tx, &mut entries).await?;
        tx.commit().await?;
        crash_point!("requests_queued");
        Ok((entries.len() as u64, last))
    }
}
