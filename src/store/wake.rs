//! NOTIFY and LISTEN: hints to look sooner.
//!
//! Owns the channels. Must never carry data: whoever hears a hint reads the tables, and a timer looks anyway.

use sqlx::postgres::PgListener;

use super::{Store, StoreError, Tx};

/// What there is to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A user was nominated, or is due again.
    Nominations,
    /// A stream's cursor was set by hand.
    Streams,
    /// A change of a role was completed.
    RoleChanges,
    /// Other rules or limits are in force.
    Rules,
}

impl Wake {
    pub(super) fn channel(self) -> &'static str {
        match self {
            Self::Nominations => "rolekeeper_nominations",
            Self::Streams => "rolekeeper_streams",
            Self::RoleChanges => "rolekeeper_role_changes",
            Self::Rules => "rolekeeper_rules",
        }
    }

    /// Sends the hint when the transaction commits.
    pub async fn send(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        sqlx::query!("SELECT pg_notify($1, '')", self.channel())
            .execute(&mut *tx)
            .await?;
        Ok(())
    }
}

/// Hears hints on a connection of its own.
#[derive(Debug)]
pub struct Waker(PgListener);

impl Store {
    /// Listens for one kind of hint.
    pub async fn listen(&self, wake: Wake) -> Result<Waker, StoreError> {
        let pool = sqlx::postgres::PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(super::ACQUIRE_TIMEOUT)
            .connect_lazy_with(self.direct.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(wake.channel()).await?;
        Ok(Waker(listener))
    }
}

impl Waker {
    /// Waits for a hint.
    ///
    /// # Errors
    /// The connection is gone: hints may have been missed, look now and listen again.
    pub async fn heard(&mut self) -> Result<(), StoreError> {
        match self.0.try_recv().await? {
            Some(_) => Ok(()),
            None => Err(StoreError::Postgres(sqlx::Error::PoolClosed)),
        }
    }
}
