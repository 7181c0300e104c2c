//! The rows that `rolekeeper undo` reads: an act, a role change, whether a plan was applied, and the roles that planned users hold.
//!
//! Must never write.

use std::collections::HashSet;

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError};

/// An act that may be undone.
#[derive(Clone, Debug)]
pub struct ActToUndo {
    /// The command.
    pub command: String,
    /// Its arguments.
    pub arguments: Value,
    /// Time of the act.
    pub at: OffsetDateTime,
}

/// A role change that may be undone.
#[derive(Clone, Debug)]
pub struct ChangeToUndo {
    /// The user.
    pub user: String,
    /// The role.
    pub role: String,
    /// The kind of the change, as the audit has it.
    pub change: String,
    /// Time at which it was completed; `None` if it was not.
    pub completed_at: Option<OffsetDateTime>,
    /// A later change of the same role was decided for the user.
    pub replaced: bool,
}

impl Store {
    /// The act with this number.
    pub async fn act_to_undo(&self, number: i64) -> Result<Option<ActToUndo>, StoreError> {
        let row = sqlx::query_as!(
            ActToUndo,
            "SELECT command, arguments, acted_at AS at FROM operator_acts WHERE act_id = $1",
            number
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// The role change with this id.
    pub async fn change_to_undo(&self, id: Uuid) -> Result<Option<ChangeToUndo>, StoreError> {
        let row = sqlx::query_as!(
            ChangeToUndo,
            r#"SELECT user_id AS "user", role, change, completed_at,
                   EXISTS (SELECT FROM role_changes l WHERE l.user_id = c.user_id AND l.role = c.role
                       -- by Postgres' clock: the ids follow the clocks of workers
                       AND (l.decided_at, l.change_id) > (c.decided_at, c.change_id)) AS "replaced!"
               FROM role_changes c WHERE change_id = $1"#,
            id
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Whether a plan was applied: one under the rules in force to its end, one of proposed rules until they were in force. It is
    /// named by its time and the fingerprint of its rules.
    pub async fn plan_was_applied(&self, made: &str, rules: &str) -> Result<bool, StoreError> {
        let applied = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM operator_acts WHERE command <> 'erase deleted' AND command = 'apply'
                   AND arguments->>'made_at' = $1 AND arguments->>'rules' = $2) AS "applied!""#,
            made,
            rules
        );
        Ok(applied.fetch_one(&self.pool).await?)
    }

    /// The roles that these users hold, as last read or written.
    pub async fn roles_held_by(&self, users: &[String]) -> Result<HashSet<(String, String)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT user_id, role FROM assignments WHERE user_id = ANY($1::text[]) AND has_role",
            users
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (row.user_id, row.role)).collect())
    }
}
