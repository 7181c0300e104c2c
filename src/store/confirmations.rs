//! Table `foreign_writes`: records to confirm at Auth0, and Auth0's verdicts.
//!
//! Owns the queue of records to confirm. Must never request a record that no attempt needs, nor change a verdict.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Enqueue, Priority, Store, StoreError, Tx, pause, profile_writes, races, string_list, work_queue,
};

/// A record that Auth0 must confirm.
#[derive(Clone, Debug)]
pub struct RecordToConfirm {
    /// The user whose roles were written.
    pub user: String,
    /// Unique name of the record among those of the user.
    pub record: String,
    /// Id of the record at Auth0.
    pub log_id: String,
    /// The client that wrote.
    pub client: Option<String>,
    /// The date of the record itself.
    pub dated: Option<OffsetDateTime>,
    /// Time of the write.
    pub at: OffsetDateTime,
    /// The whole array of roles after the write.
    pub roles: Vec<String>,
    /// The write deleted all of `app_metadata`.
    pub wiped: bool,
    /// Number of earlier requests to Auth0.
    pub asks: u32,
    /// Time since the first request was due.
    pub waited: Duration,
    /// The record names our own client id, and matches no completed write of ours.
    pub own: bool,
    /// Our write without a response that the record may describe.
    pub write: Option<Uuid>,
}

/// Auth0's verdict on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Auth0 returned the same record.
    Confirmed,
    /// Auth0 does not know the record.
    Unknown,
    /// Auth0 returned a record with other content.
    Differs,
    /// Our client has no permission to read the log.
    NoScope,
    /// Auth0 returned no usable response for too long.
    Unanswered,
}

impl Verdict {
    /// The value in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unknown => "unknown",
            Self::Differs => "differs",
            Self::NoScope => "no_scope",
            Self::Unanswered => "unanswered",
        }
    }
}

/// Effect of a verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judged {
    /// Number of races settled because their record is not confirmed.
    pub unconfirmed: u64,
    /// Attempts and writes are stopped from now on.
    pub stopped: bool,
}

/// Requests the confirmation of a user's records, unless it is pending already.
pub async fn ask(tx: &mut Tx<'_>, user: &str, records: &[&str]) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE foreign_writes SET asked_at = now(), ask_at = now()
         WHERE user_id = $1 AND record_id = ANY($2::text[]) AND verdict IS NULL AND asked_at IS NULL AND log_id IS NOT NULL
           AND NOT own",
        user,
        records as &[&str]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// Records to request from Auth0 now, at most `most`.
    pub async fn records_to_confirm(&self, most: i64) -> Result<Vec<RecordToConfirm>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT user_id, record_id, log_id AS "log_id!", client_id, dated_at, written_at, roles, wiped, asks, own, write_id,
                   extract(epoch FROM now() - asked_at)::double precision AS "waited!"
               FROM foreign_writes WHERE ask_at <= now() AND log_id IS NOT NULL ORDER BY ask_at LIMIT $1"#,
            most
        );
        let rows = rows.fetch_all(&self.pool).await?;
        rows.into_iter()
            .map(|row| {
                Ok(RecordToConfirm {
                    user: row.user_id,
                    record: row.record_id,
                    log_id: row.log_id,
                    client: row.client_id,
                    dated: row.dated_at,
                    at: row.written_at,
                    roles: string_list("foreign_writes", "roles", &row.roles)?,
                    wiped: row.wiped,
                    asks: u32::try_from(row.asks).unwrap_or(0),
                    waited: Duration::try_from_secs_f64(row.waited).unwrap_or_default(),
                    own: row.own,
                    write: row.write_id,
                })
            })
            .collect()
    }

    /// Requests a record again after a delay.
    pub async fn confirm_later(&self, asked: &RecordToConfirm, after: Duration) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE foreign_writes SET asks = asks + 1, ask_at = now() + $3::double precision * interval '1 second'
             WHERE user_id = $1 AND record_id = $2 AND verdict IS NULL",
            asked.user,
            asked.record,
            after.as_secs_f64()
        )
        .execute(&self.pool)
        .await?;
        crash_point!("later");
        Ok(())
    }

    /// Stores the verdict on a record, and enqueues its user once no other confirmation is pending. Settles a race
    /// whose record is not confirmed as such; an unknown write under our own client id stops all writes.
    pub async fn judged(&self, asked: &RecordToConfirm, verdict: Verdict) -> Result<Judged, StoreError> {
        let mut tx = self.begin().await?;
        let rest = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM foreign_writes WHERE user_id = $1 AND record_id <> $2 AND ask_at IS NOT NULL) AS "rest!"
               FROM foreign_writes WHERE user_id = $1 AND record_id = $2"#,
            asked.user,
            asked.record
        );
        // `None`: the user was erased meanwhile.
        let Some(rest) = rest.fetch_optional(&mut tx).await? else {
            return Ok(Judged::default());
        };
        if !rest {
            // A removal that a link or an unlink brought to another user waits for the same record.
            let brought =
                sqlx::query_scalar!("SELECT user_id FROM removals WHERE came_from = $1", asked.user);
            let users = brought
                .fetch_all(&mut tx)
                .await?
                .into_iter()
                .chain([asked.user.clone()]);
            let mut entries: Vec<Enqueue> = users
                .map(|user| Enqueue::to_read(user, Priority::NewUser))
                .collect();
            // Locks the queue first, in the same order as reconcile.
            work_queue::enqueue(&mut tx, &mut entries).await?;
        }
        sqlx::query!(
            "UPDATE foreign_writes SET asks = asks + 1, ask_at = NULL, verdict = $3
             WHERE user_id = $1 AND record_id = $2 AND verdict IS NULL",
            asked.user,
            asked.record,
            verdict.as_str()
        )
        .execute(&mut tx)
        .await?;
        let mut judged = Judged::default();
        if verdict != Verdict::Confirmed {
            judged.unconfirmed = races::unconfirmed(&mut tx, &asked.user, &[&asked.record]).await?;
        } else if let Some(write) = asked.write {
            profile_writes::acknowledge(&mut tx, &[(write, Some(asked.at))]).await?;
        } else if asked.own {
            judged.stopped = pause::stop(&mut tx, &asked.user, (asked.at, &asked.log_id)).await?;
        }
        tx.commit().await?;
        crash_point!("judged");
        Ok(judged)
    }
}
