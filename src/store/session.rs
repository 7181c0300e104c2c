//! Separate connections, outside the pools: for locks, for LISTEN, and for `migrate`.
//!
//! Owns the opening of a session and its settings. Must never go through a pooler in transaction mode, where a lock
//! belongs to a connection that another client gets next.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::pool::ACQUIRE_TIMEOUT;
use super::tx::{DEADLINE, State, Tx};
use super::{Store, StoreError};

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
    SET idle_in_transaction_session_timeout = 25000;
    -- A plan is kept while tables grow from nothing to millions of rows: rows are always looked up one by one.
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET enable_material = off;
    -- The costs that the settings above pretend would make it compile every statement.
    SET jit = off";

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
        session
            .once(LOCK_DEADLINE)
            .execute(sqlx::raw_sql(LOCK_SETTINGS))
            .await?;
        Ok(session)
    }

    /// Single statements, each with `deadline` for its response.
    pub(super) fn once(&mut self, deadline: Duration) -> Tx<'_> {
        Tx::session(self, deadline)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        Ok(Tx::session(self, DEADLINE).begin().await?)
    }

    pub(super) fn parts(&mut self) -> (&mut PgConnection, &mut State) {
        (&mut self.connection, &mut self.state)
    }

    /// The connection itself, for statements without a deadline.
    pub(super) fn unbounded(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Store {
    /// Refuses an address behind which sessions do not work: a pooler in transaction mode, or a server whose advisory
    /// locks have no effect.
    ///
    /// # Errors
    /// The address is of that kind; the text names the remedy. Or Postgres is unreachable.
    pub async fn check_sessions(&self) -> Result<(), StoreError> {
        let mut one = Session::open(&self.direct).await?;
        let mut other = Session::open(&self.direct).await?;
        let number = i64::from(std::process::id()) << 32 | i64::from(rand::random::<u32>());
        let mut both = false;
        // A pooler usually, not always, lends the connection that was returned last.
        for _ in 0..3 {
            let first = try_lock(&mut one, number).await?;
            let second = try_lock(&mut other, number).await?;
            both |= first && second;
            for (session, locked) in [(&mut other, second), (&mut one, first)] {
                if locked {
                    unlock(session, number).await?;
                }
            }
        }
        if both {
            return Err(StoreError::Settings(
                "two sessions got the same advisory lock: a pooler in transaction mode, such as PgBouncer, lies between, or \
                 the server does not keep locks. Keep the pooler in DATABASE_URL if you like, and set DATABASE_DIRECT_URL to \
                 the address of Postgres itself, or use the pooler in session mode"
                    .into(),
            ));
        }
        Ok(())
    }
}

async fn try_lock(session: &mut Session, number: i64) -> Result<bool, StoreError> {
    // Unnamed and unchecked at compile time: a pooler may be in between.
    let taken = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(number)
        .persistent(false);
    Ok(taken.fetch_one(&mut session.once(LOCK_DEADLINE)).await?)
}

async fn unlock(session: &mut Session, number: i64) -> Result<(), StoreError> {
    let unlocked = sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(number)
        .persistent(false);
    unlocked.execute(&mut session.once(LOCK_DEADLINE)).await?;
    Ok(())
}
