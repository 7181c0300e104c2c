//! Separate connections, outside the pools: for locks, for LISTEN, and for `migrate`.
//!
//! Owns the opening of a session and its settings. Must never go through a pooler in transaction mode, where a lock
//! belongs to a connection that another client gets next.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::StoreError;
use super::deadline::{ACQUIRE_TIMEOUT, State};

/// Longest wait for the response to a statement about a lock.
pub(super) const LOCK_DEADLINE: Duration = Duration::from_secs(5);

/// Settings of a session that holds a lock. A worker that is frozen or whose host is gone loses the session, and its
/// lock, within 30 s.
const LOCK_SETTINGS: &str = "
    SET statement_timeout = '20s';
    -- Well below that: a wait for a lock ends with a lock timeout, not with a statement timeout.
    SET lock_timeout = '5s';
    SET tcp_keepalives_idle = 5;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = 20000;
    SET idle_session_timeout = 25000;
    SET idle_in_transaction_session_timeout = 25000";

/// A plan is kept while tables grow from nothing to millions of rows: rows are always looked up one by one. Without JIT, since the
/// costs that the other settings pretend would make it compile every statement.
pub(super) const LOOK_UPS: [&str; 6] = [
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "enable_hashjoin = off",
    "enable_mergejoin = off",
    "enable_material = off",
    "jit = off",
];

/// A separate connection, outside the pool.
#[derive(Debug)]
pub(super) struct Session {
    connection: PgConnection,
    state: State,
}

impl Session {
    /// Connects.
    pub(super) async fn open(options: &PgConnectOptions) -> Result<Self, StoreError> {
        let connection = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await;
        Ok(Self {
            connection: connection.map_err(|_| sqlx::Error::PoolTimedOut)??,
            state: State::Idle,
        })
    }

    /// Connects for a lock.
    pub(super) async fn for_lock(options: &PgConnectOptions) -> Result<Self, StoreError> {
        let mut session = Self::open(options).await?;
        let settings = format!("{LOCK_SETTINGS}; SET {}", LOOK_UPS.join("; SET "));
        session
            .once(LOCK_DEADLINE)
            .execute(sqlx::raw_sql(AssertSqlSafe(settings)))
            .await?;
        Ok(session)
    }

    pub(super) fn parts(&mut self) -> (&mut PgConnection, &mut State) {
        (&mut self.connection, &mut self.state)
    }

    /// The connection itself, for statements without a deadline.
    pub(super) fn unbounded(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
