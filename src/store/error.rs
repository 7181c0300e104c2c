//! The errors of database operations.
//!
//! Owns their texts, each with its remedy.

use super::fault::{self, Fault};

/// Error of a database operation.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is invalid; a retry does not help.
    #[error("DATABASE_URL or DATABASE_DIRECT_URL: {0}")]
    Settings(String),
    /// Postgres is unreachable, refused, or closed the connection. The text has the cause, which is therefore no source:
    /// a chain of causes would repeat it.
    #[error("Postgres: {0}{remedy}", remedy = fault::remedy(.0))]
    Postgres(sqlx::Error),
    /// The schema does not fit this binary.
    #[error("{0}")]
    Schema(String),
    /// Users were erased with a key that this worker does not have; the text names the setting.
    #[error("{0}")]
    ErasureKey(String),
    /// This release does not know the format of the rules in force; the text names the release that does.
    #[error("{0}")]
    RulesFormat(String),
    /// The user was erased: no data of the user may be stored.
    #[error("the user was erased")]
    Erased,
    /// Another transaction has locked rows of the user.
    #[error("another client of Postgres has locked rows of the user")]
    Locked,
    /// Counts are being corrected.
    #[error(
        "`rolekeeper rebuild` is under way, and would not see this change of counts: run the command again once it has ended"
    )]
    Rebuilding,
    /// The database belongs to another tenant; the text names both, and the remedy.
    #[error("{0}")]
    Tenant(String),
    /// A stored value is not one that rolekeeper writes.
    #[error("table {table}, column {column}: {value:?} is invalid")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The stored value.
        value: String,
    },
}

impl StoreError {
    /// The fault of the written rows, if they may be the cause.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Postgres(error) => fault::of_rows(error),
            _ => None,
        }
    }

    /// Postgres' message about a missing permission: it names the table, and no user.
    pub(super) fn lacks_right(&self) -> Option<&str> {
        match self {
            Self::Postgres(error) => fault::lacks_right(error),
            _ => None,
        }
    }

    /// Whether another transaction held a lock on the rows for too long.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        match self {
            Self::Locked => true,
            Self::Postgres(error) => fault::is_locked(error),
            _ => false,
        }
    }

    /// Whether every retry would fail in the same way: Postgres refuses a value, or a stored value is invalid.
    #[must_use]
    pub fn is_about_the_data(&self) -> bool {
        matches!(self, Self::Inconsistent { .. }) || matches!(self.fault(), Some(Fault::Refused(_)))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Postgres(error)
    }
}
