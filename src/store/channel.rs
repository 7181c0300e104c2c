//! NOTIFY and LISTEN: hints that make a stage poll sooner.
//!
//! Owns the channels. Must never carry data: a receiver reads the tables, and a timer polls anyway.

use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::PgListener;

use super::session::LOCK_DEADLINE;
use super::{Store, StoreError, Tx};

/// Interval between checks of a connection without notifications.
const CHECK_EVERY: Duration = Duration::from_secs(15);

/// Subject of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A user was enqueued, or is due again.
    WorkQueue,
    /// An operator set a stream's cursor.
    Streams,
    /// A role change was completed.
    RoleChanges,
    /// Other rules or limits are in force.
    Rules,
}

impl Channel {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::WorkQueue => "rolekeeper_work_queue",
            Self::Streams => "rolekeeper_streams",
            Self::RoleChanges => "rolekeeper_role_changes",
            Self::Rules => "rolekeeper_rules",
        }
    }

    /// Sends the hint when the transaction commits.
    pub async fn send(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        sqlx::query!("SELECT pg_notify($1, '')", self.name())
            .execute(&mut *tx)
            .await?;
        Ok(())
    }
}

/// Receives hints on a separate connection.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Store {
    /// Listens for one kind of hint.
    ///
    /// # Errors
    /// Postgres refuses, or does not respond in time.
    pub async fn listen(&self, channel: Channel) -> Result<Listener, StoreError> {
        let pool = sqlx::postgres::PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(super::deadline::ACQUIRE_TIMEOUT)
            .connect_lazy_with(self.direct.clone());
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(channel.name()).await?;
            Ok(Listener(listener))
        };
        // The pool limits only the connecting, and the server's own limit does not help when the network is silent.
        let within = super::deadline::ACQUIRE_TIMEOUT + LOCK_DEADLINE;
        let listening = tokio::time::timeout(within, listen).await;
        listening.unwrap_or(Err(StoreError::Postgres(sqlx::Error::PoolTimedOut)))
    }
}

impl Listener {
    /// Waits for a hint; checks the connection in between.
    ///
    /// # Errors
    /// The connection is gone: hints may have been missed, so the caller must poll now and listen again.
    pub async fn notified(&mut self) -> Result<(), StoreError> {
        loop {
            match tokio::time::timeout(CHECK_EVERY, self.0.try_recv()).await {
                Ok(Ok(Some(_))) => return Ok(()),
                Ok(Ok(None)) => return Err(StoreError::Postgres(sqlx::Error::PoolClosed)),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    let alive = tokio::time::timeout(LOCK_DEADLINE, self.0.execute("SELECT 1")).await;
                    alive.map_err(|_| StoreError::Postgres(sqlx::Error::PoolTimedOut))??;
                }
            }
        }
    }
}
