//! What a client without rights may see of an error.
//!
//! Owns the text for `/readyz`. Must never show what Postgres or a driver said: that goes to the log. A right that
//! is missing is shown, since its table's name tells nothing of the data.

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
                format!("table {table}, column {column}: a value is not understood; the log has it")
            }
            Self::Settings(_) => {
                "DATABASE_URL or DATABASE_DIRECT_URL cannot be used; the log has the reason".to_owned()
            }
            other => other.to_string(),
        }
    }
}
