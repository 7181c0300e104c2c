//! The cause of a failed statement: the written rows or the database.
//!
//! Owns the SQLSTATEs that mean a fault of the rows, or too many of them. Must never blame rows for a database that is
//! unreachable, full, read-only, shutting down or without a table.

use std::io::ErrorKind;

/// A fault that a smaller transaction may avoid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Postgres refused a value.
    Refused(String),
    /// Postgres did not finish in time.
    TimedOut(String),
}

/// The fault of the written rows, if they may be the cause of the error.
pub(super) fn of_rows(error: &sqlx::Error) -> Option<Fault> {
    match error {
        sqlx::Error::Encode(why) => Some(Fault::Refused(why.to_string())),
        sqlx::Error::Database(said) => fault(said.code()?.as_ref(), said.message()),
        _ => None,
    }
}

/// SQLSTATE of a lock that another transaction held for too long.
const LOCKED: &str = "55P03";

/// Whether another transaction held a lock for too long.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == LOCKED)
}

/// SQLSTATE of a missing permission.
const NO_RIGHT: &str = "42501";

/// Postgres' message about a missing permission: it names the table, and no user.
pub(super) fn lacks_right(error: &sqlx::Error) -> Option<&str> {
    let said = error.as_database_error()?;
    (said.code()? == NO_RIGHT).then(|| said.message())
}

/// The remedy of an error, to append to its text; empty if the text includes it.
pub(super) fn remedy(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Io(io) if matches!(io.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            "; check the files of sslrootcert, sslcert and sslkey in DATABASE_URL and DATABASE_DIRECT_URL, or the folder of the socket"
        }
        error if lacks_right(error).is_some() => {
            "; grant this right to the user of DATABASE_URL and DATABASE_DIRECT_URL"
        }
        _ => "",
    }
}

fn fault(code: &str, message: &str) -> Option<Fault> {
    match code {
        // query_canceled by the statement timeout.
        "57014" => Some(Fault::TimedOut(message.to_owned())),
        _ => match code.get(..2)? {
            // Cardinality, data exception, integrity constraint, program limit, RAISE of PL/pgSQL.
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
        // Shutdown, read-only, disk full, no table, no permission, no connection, deadlock, serialization failure, lock
        // of another client.
        for code in [
            "57P01", "25006", "53100", "42P01", "42501", "08006", "40P01", "40001", "55P03",
        ] {
            assert_eq!(fault(code, "no"), None, "{code}");
        }
    }
}
