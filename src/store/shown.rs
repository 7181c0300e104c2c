//! The public part of an error, for a client without permissions.
//!
//! Owns the text for `/readyz`. Must never show a message of Postgres or a driver, which goes to the log. A missing
//! permission is shown, since its table's name reveals no data.

use super::StoreError;

impl StoreError {
    /// A short reason, without addresses, names or statements.
    #[must_use]
    pub fn shown(&self) -> String {
        if let Some(said) = self.lacks_right() {
            return format!("Postgres: {said}; grant this right to the user of DATABASE_URL");
        }
        match self {
            Self::Postgres(_) => "Postgres is unavailable; the log has the reason".to_owned(),
            Self::Inconsistent { table, column, .. } => {
                format!("table {table}, column {column}: a value is invalid; the log has it")
            }
            Self::Settings(_) => {
                "DATABASE_URL or DATABASE_DIRECT_URL cannot be used; the log has the reason".to_owned()
            }
            other => other.to_string(),
        }
    }
}
