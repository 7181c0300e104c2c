//! Table `operator_acts`: acts of operators.
//!
//! Owns that an act and its row share one transaction. Must never change or remove a row; a trigger refuses both.

use serde_json::Value;
use time::OffsetDateTime;

use super::{Store, StoreError, Tx};
use rolekeeper_domain::act::Act;

/// A stored act.
#[derive(Clone, Debug)]
pub struct Acted {
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
pub(super) async fn keep(tx: &mut Tx<'_>, act: &Act, outcome: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO operator_acts (acted_by, command, arguments, why, outcome) VALUES ($1, $2, $3, $4, $5)",
        act.by,
        act.command,
        act.arguments,
        act.why,
        outcome
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// Stores an act whose change did not happen in one transaction.
    pub async fn acted(&self, act: &Act, outcome: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        keep(&mut tx, act, outcome).await?;
        Ok(tx.commit().await?)
    }

    /// The newest acts, at most `most`, newest first.
    pub async fn acts(&self, most: i64) -> Result<Vec<Acted>, StoreError> {
        let rows = sqlx::query_as!(
            Acted,
            r#"SELECT acted_at AS at, acted_by AS "by", db_user, command, arguments, why, outcome
               FROM operator_acts ORDER BY act_id DESC LIMIT $1"#,
            most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
