//! Table `foreign_writes`, from the side of Auth0's word: which records are to be confirmed, and what it said.
//!
//! Owns the queue of records that Auth0 is asked for. Must never ask for one that no look needs, and never take a verdict
//! back.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Nominate, Store, StoreError, Tx, Urgency, nominations, pause, profile_writes, races, string_list,
};

/// A record that Auth0 is to confirm.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose roles it says were written.
    pub user: String,
    /// What tells the record from others of the user.
    pub record: String,
    /// By which Auth0 knows it.
    pub log_id: String,
    /// The client that wrote.
    pub client: Option<String>,
    /// The record's own date.
    pub dated: Option<OffsetDateTime>,
    /// When the write was done.
    pub at: OffsetDateTime,
    /// The whole roles array.
    pub roles: Vec<String>,
    /// All of `app_metadata` was deleted.
    pub wiped: bool,
    /// How often Auth0 was asked before.
    pub asks: u32,
    /// How long ago it was first to be asked.
    pub waited: Duration,
    /// It names our own client id, and is none of our completed writes.
    pub own: bool,
    /// The write of ours without an answer that it may tell of.
    pub write: Option<Uuid>,
}

/// What Auth0 said of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It returned the same record.
    Confirmed,
    /// It does not know it.
    Unknown,
    /// It returned another one.
    Differs,
    /// Our client may not read the log.
    NoScope,
    /// It answered nothing of use for too long.
    Unanswered,
}

impl Verdict {
    /// As it stands in the table.
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

/// What came of a verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judged {
    /// Races that are settled because their record is not confirmed.
    pub unconfirmed: u64,
    /// Looks and writes are stopped from here on.
    pub stopped: bool,
}

/// Has Auth0 asked for records of a user, unless it is being asked already.
pub async fn ask(tx: &mut Tx<'_>, user: &str, records: &[&str]) -> Result<(), StoreError> {
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
    /// Records that Auth0 is to be asked for now, at most `most`.
    pub async fn records_to_confirm(&self, most: i64) -> Result<Vec<Asked>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT user_id, record_id, log_id AS "log_id!", client_id, dated_at, written_at, roles, wiped, asks, own, write_id,
                   extract(epoch FROM now() - asked_at)::double precision AS "waited!"
               FROM foreign_writes WHERE ask_at <= now() AND log_id IS NOT NULL ORDER BY ask_at LIMIT $1"#,
            most
        );
        let rows = rows.fetch_all(&self.pool).await?;
        rows.into_iter()
            .map(|row| {
                Ok(Asked {
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

    /// Has Auth0 asked again for a record after a while.
    pub async fn confirm_later(&self, asked: &Asked, after: Duration) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE foreign_writes SET asks = asks + 1, ask_at = now() + $3::double precision * interval '1 second'
             WHERE user_id = $1 AND record_id = $2 AND verdict IS NULL",
            asked.user,
            asked.record,
            after.as_secs_f64()
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Keeps what Auth0 said of a record, and nominates its user once nothing more is asked. A race whose record is not
    /// confirmed is settled as such; a write under our own client id that is none of ours stops all writes.
    pub async fn judged(&self, asked: &Asked, verdict: Verdict) -> Result<Judged, StoreError> {
        let mut tx = self.begin().await?;
        let rest = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM foreign_writes WHERE user_id = $1 AND record_id <> $2 AND ask_at IS NOT NULL) AS "rest!"
               FROM foreign_writes WHERE user_id = $1 AND record_id = $2"#,
            asked.user,
            asked.record
        );
        // None: the user was erased meanwhile.
        let Some(rest) = rest.fetch_optional(&mut tx).await? else {
            return Ok(Judged::default());
        };
        if !rest {
            let mut look = [Nominate {
                user: asked.user.clone(),
                urgency: Urgency::NewUser,
                observe: true,
                cause: None,
                restless: false,
            }];
            // Nominations first, as reconcile locks them.
            nominations::nominate(&mut tx, &mut look).await?;
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
            profile_writes::told(&mut tx, &[(write, Some(asked.at))]).await?;
        } else if asked.own {
            judged.stopped = pause::stop(&mut tx, &asked.user, (asked.at, &asked.log_id)).await?;
        }
        tx.commit().await?;
        Ok(judged)
    }
}
