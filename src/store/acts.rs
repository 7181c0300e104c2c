//! Table `operator_acts`: acts of operators.
//!
//! Owns that an act and its row share one transaction. Must never change or remove a row; a trigger refuses both.

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::{Store, StoreError, Tx};
use rolekeeper_domain::act::Act;

/// Command of an erasure by the worker: many acts, which name no id and are not searched. A partial index names it too.
pub const ERASE_DELETED: &str = "erase deleted";

/// The actor of an act that a profile or the time causes.
pub(super) const WORKER: &str = "the worker that reconciles";

/// Acts searched in one transaction.
const AT_ONCE: i64 = 5_000;
/// Age of an act before which each act with a smaller number is committed: longer than any transaction.
const COMMITTED_AFTER: Duration = Duration::from_mins(5);

/// Acts that may name users.
#[derive(Clone, Debug, Default)]
pub(super) struct Naming {
    /// Acts that name one of the users.
    pub(super) acts: Vec<i64>,
    /// Later acts are not searched yet.
    pub(super) searched_to: i64,
}

/// The acts that came after a search.
pub(super) async fn since(tx: &mut Tx<'_>, searched_to: i64) -> Result<Vec<i64>, StoreError> {
    let later = sqlx::query_scalar!(
        "SELECT act_id FROM operator_acts WHERE command <> 'erase deleted' AND act_id > $1",
        searched_to
    );
    Ok(later.fetch_all(&mut *tx).await?)
}

/// The acts of the last minutes.
pub(super) async fn recent(tx: &mut Tx<'_>) -> Result<Vec<i64>, StoreError> {
    let before = sqlx::query_scalar!(
        "SELECT act_id FROM operator_acts WHERE acted_at < now() - $1::double precision * interval '1 second'
         ORDER BY act_id DESC LIMIT 1",
        COMMITTED_AFTER.as_secs_f64()
    );
    let before = before.fetch_optional(&mut *tx).await?;
    since(tx, before.unwrap_or_default()).await
}

/// A stored act.
#[derive(Clone, Debug)]
pub struct Acted {
    /// Its number.
    pub number: i64,
    /// Time of the act.
    pub at: OffsetDateTime,
    /// Name of the operator.
    pub by: String,
    /// The role that was logged in at Postgres.
    pub db_user: String,
    /// The command.
    pub command: String,
    /// The arguments of the command.
    pub arguments: Value,
    /// The operator's reason.
    pub why: Option<String>,
    /// The result of the act.
    pub outcome: String,
}

/// Stores an act with its result.
pub async fn keep(tx: &mut Tx<'_>, act: &Act, outcome: &str) -> Result<(), StoreError> {
    keep_numbered(tx, act, outcome).await?;
    Ok(())
}

/// Stores an act with its result; returns its number.
pub(super) async fn keep_numbered(tx: &mut Tx<'_>, act: &Act, outcome: &str) -> Result<i64, StoreError> {
    let number = sqlx::query_scalar!(
        "INSERT INTO operator_acts (acted_by, command, arguments, why, outcome) VALUES ($1, $2, $3, $4, $5) RETURNING act_id",
        act.by,
        act.command,
        act.arguments,
        act.why,
        outcome
    );
    Ok(number.fetch_one(&mut *tx).await?)
}

impl Store {
    /// Searches the acts for users, in batches and without a lock: for their ids in the arguments, and for these spellings in
    /// reasons, names of operators and results.
    pub(super) async fn acts_naming(
        &self,
        ids: &[String],
        spellings: &[String],
    ) -> Result<Naming, StoreError> {
        let (mut after, mut naming) = (0, Naming::default());
        loop {
            let mut tx = self.begin().await?;
            let batch = sqlx::query!(
                r#"SELECT max(act_id) AS last, max(act_id) FILTER (WHERE is_old) AS searched_to,
                       coalesce(array_agg(act_id) FILTER (WHERE names), '{}') AS "acts!"
                   FROM (
                       SELECT act_id, acted_at < now() - $5::double precision * interval '1 second' AS is_old,
                           EXISTS (SELECT FROM UNNEST($1::text[]) AS id WHERE position(to_jsonb(id)::text IN arguments::text) > 0)
                           OR EXISTS (SELECT FROM UNNEST($2::text[]) AS spelling
                                   WHERE position(spelling IN concat_ws(' ', why, acted_by, outcome)) > 0) AS names
                       FROM operator_acts WHERE command <> 'erase deleted' AND act_id > $3 ORDER BY act_id LIMIT $4
                   ) AS batch"#,
                ids,
                spellings,
                after,
                AT_ONCE,
                COMMITTED_AFTER.as_secs_f64()
            );
            let batch = batch.fetch_one(&mut tx).await?;
            drop(tx);
            naming.acts.extend(batch.acts);
            naming.searched_to = naming.searched_to.max(batch.searched_to.unwrap_or_default());
            match batch.last {
                Some(last) => after = last,
                None => return Ok(naming),
            }
        }
    }

    /// Stores an act whose change did not happen in one transaction.
    pub async fn acted(&self, act: &Act, outcome: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        keep(&mut tx, act, outcome).await?;
        tx.commit().await?;
        crash_point!("kept");
        Ok(())
    }

    /// The newest release or drop of the held changes that the operator knows as `changes`.
    pub async fn last_release(&self, changes: &str) -> Result<Option<Acted>, StoreError> {
        let row = sqlx::query_as!(
            Acted,
            r#"SELECT act_id AS number, acted_at AS at, acted_by AS "by", db_user, command, arguments, why, outcome
               FROM operator_acts
               WHERE command <> 'erase deleted' AND command IN ('brake release', 'brake drop') AND arguments->>'changes' = $1
               ORDER BY act_id DESC LIMIT 1"#,
            changes
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// The newest acts, at most `most`, newest first.
    pub async fn acts(&self, most: i64) -> Result<Vec<Acted>, StoreError> {
        let rows = sqlx::query_as!(
            Acted,
            r#"SELECT act_id AS number, acted_at AS at, acted_by AS "by", db_user, command, arguments, why, outcome
               FROM operator_acts ORDER BY act_id DESC LIMIT $1"#,
            most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
