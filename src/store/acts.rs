//! Table `operator_acts`: what operators did.
//!
//! Owns that an act and its row are one transaction. Must never change a row or remove one; a trigger refuses both.

use serde_json::Value;
use time::OffsetDateTime;

use super::{Store, StoreError, Tx};
use rolekeeper_domain::act::Act;

/// An act as it was kept.
#[derive(Clone, Debug)]
pub struct Acted {
    /// When.
    pub at: OffsetDateTime,
    /// Which operator.
    pub by: String,
    /// The role that was logged in at Postgres.
    pub db_user: String,
    /// The command.
    pub command: String,
    /// What it was told.
    pub arguments: Value,
    /// Why.
    pub why: Option<String>,
    /// What came of it.
    pub outcome: String,
}

/// Keeps an act with what came of it.
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
    /// Keeps an act that changed something by other means than one transaction.
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
