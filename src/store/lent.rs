//! A pooled connection during a unit of work.
//!
//! Owns its return. Must never return to the pool a connection that may be inside a transaction, is read-only, or does
//! not respond: it is closed instead.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Executor as _, PgConnection, Postgres};

use super::deadline::{State, in_time};

/// Longest time to return a connection; one that does not respond is closed.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection during a unit of work.
#[derive(Debug)]
pub(super) struct Lent {
    /// `None` only after the drop.
    connection: Option<PoolConnection<Postgres>>,
    state: State,
}

impl Lent {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self {
            connection: Some(connection),
            state: State::Idle,
        }
    }

    #[expect(clippy::expect_used, reason = "only the drop takes it")]
    pub(super) fn parts(&mut self) -> (&mut PgConnection, &mut State) {
        (self.connection.as_mut().expect("lent"), &mut self.state)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let (Ok(runtime), State::Idle | State::Open) = (tokio::runtime::Handle::try_current(), self.state)
        else {
            // The server rolls back when it sees the connection closed.
            drop(connection.detach());
            return;
        };
        let mut state = self.state;
        runtime.spawn(async move {
            if state == State::Open
                && in_time(RETURN_TIMEOUT, &mut state, connection.execute("ROLLBACK"))
                    .await
                    .is_err()
            {
                drop(connection.detach());
                return;
            }
            // If the return is cancelled, the connection is closed and its slot in the pool is free again.
            let _ = tokio::time::timeout(RETURN_TIMEOUT, connection.return_to_pool()).await;
        });
    }
}
