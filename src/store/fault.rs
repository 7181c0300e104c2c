//! What a failed statement says about the rows that it was to write.
//!
//! Owns which SQLSTATEs mean that the rows are at fault, or that they were too many. Must never blame rows for a database that is away,
//! full, read-only, shutting down or without a table.

use super::StoreError;

/// A fault that a smaller transaction may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Postgres refused a value.
    Refused(String),
    /// Postgres did not finish in time.
    TimedOut(String),
}

impl StoreError {
    /// The fault of what was to be written, if it may be one.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let Self::Postgres(error) = self else {
            return None;
        };
        match error {
            sqlx::Error::Encode(why) => Some(Fault::Refused(why.to_string())),
            sqlx::Error::Database(said) => fault(said.code()?.as_ref(), said.message()),
            _ => None,
        }
    }
}

/// SQLSTATE of a right that the user lacks.
const NO_RIGHT: &str = "42501";

impl StoreError {
    /// What Postgres says of a right that the user lacks: it names the table, and no user.
    pub(super) fn lacks_right(&self) -> Option<&str> {
        match self {
            Self::Postgres(error) => lacks_right(error),
            _ => None,
        }
    }
}

fn lacks_right(error: &sqlx::Error) -> Option<&str> {
    let said = error.as_database_error()?;
    (said.code()? == NO_RIGHT).then(|| said.message())
}

/// What to do about an error, to be put behind it; empty where the error says it.
pub(super) fn remedy(error: &sqlx::Error) -> &'static str {
    match lacks_right(error) {
        Some(_) => "; grant this right to the user of DATABASE_URL and DATABASE_DIRECT_URL",
        None => "",
    }
}

fn fault(code: &str, message: &str) -> Option<Fault> {
    match code {
        // query_canceled by the statement timeout.
        "57014" => Some(Fault::TimedOut(message.to_owned())),
        _ => match code.get(..2)? {
            // Cardinality, data exception, integrity constraint, program limit, PL/pgSQL's RAISE.
            "21" | "22" | "23" | "54" | "P0" => Some(Fault::Refused(format!("{message} (SQLSTATE {code})"))),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_blamed_for_what_they_hold_only() {
        for code in ["22021", "22003", "23505", "23514", "54000", "P0001"] {
            assert!(matches!(fault(code, "no"), Some(Fault::Refused(_))), "{code}");
        }
        assert!(matches!(fault("57014", "late"), Some(Fault::TimedOut(_))));
        // Shutdown, read-only, disk full, no table, no right, no connection, deadlock, unserialisable, a lock of another.
        for code in [
            "57P01", "25006", "53100", "42P01", "42501", "08006", "40P01", "40001", "55P03",
        ] {
            assert_eq!(fault(code, "no"), None, "{code}");
        }
    }
}
