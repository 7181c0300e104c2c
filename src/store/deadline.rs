//! Deadlines of statements, and the known state of a connection.
//!
//! Owns when a connection is in an unknown state: after a statement without a response in time, or a cancelled one.

use std::time::Duration;

/// Longest wait for a response to one statement. The server ends a statement after 20 s, unless the server or the
/// network is silent.
pub(super) const DEADLINE: Duration = Duration::from_secs(25);
/// Longest wait for a connection from the pool.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Known state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Between two statements, outside a transaction.
    Idle,
    /// Between two statements, inside a transaction.
    Open,
    /// A statement is in flight, or was cancelled in flight: the state is unknown.
    InFlight,
}

/// Runs a statement with a deadline, and tracks the state of the connection.
pub(super) async fn in_time<T>(
    deadline: Duration,
    state: &mut State,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let before = std::mem::replace(state, State::InFlight);
    if before == State::InFlight {
        return Err(timed_out(
            "an earlier statement on this connection was left in flight",
        ));
    }
    let result = tokio::time::timeout(deadline, statement).await;
    let result = result.unwrap_or_else(|_| {
        let seconds = deadline.as_secs();
        Err(timed_out(&format!(
            "no response in {seconds} s; the connection is closed"
        )))
    });
    if result.as_ref().map_or_else(leaves_connection_usable, |_| true) {
        *state = before;
    }
    result
}

fn timed_out(why: &str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, why))
}

/// Whether Postgres itself refused, and would accept another statement on the same connection. Not for a server that is
/// read-only (a former primary) or shutting down: there the connection must be replaced.
fn leaves_connection_usable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code();
            let code = code.as_deref().unwrap_or_default();
            code != "25006" && !code.starts_with("57P") && !code.starts_with("08")
        }
        sqlx::Error::Encode(_) => true,
        _ => false,
    }
}
