//! Who is active: a session advisory lock on a connection of its own.
//!
//! Owns the lock numbers. Must never be what correctness rests on: the cursor's compare-and-swap and the
//! lease are; the lock only keeps the others from working for nothing.

use std::time::Duration;

use sqlx::Connection as _;

use super::{Session, Store, StoreError, Tx};

/// First half of every lock number; the ASCII letters "role".
const NAMESPACE: i32 = 0x726f_6c65;

/// How often a holder shows that it lives.
pub const CHECK_EVERY: Duration = Duration::from_secs(5);

/// What can be held by one worker at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Folding APP_EVENTS.
    FoldAppEvents,
    /// Folding AUTH0_LOGS.
    FoldAuth0Logs,
    /// Reconciling and sweeping.
    Reconcile,
}

/// A held lock. It is held as long as the session lives; dropping the session gives it up.
/// Work done on it is done by the holder, or fails.
#[derive(Debug)]
pub struct Held {
    pub(super) session: Session,
}

impl Store {
    /// Takes the lock if nobody has it.
    pub async fn try_lock(&self, lock: Lock) -> Result<Option<Held>, StoreError> {
        let mut session = self.lock_session().await?;
        let number = match lock {
            Lock::FoldAppEvents => 1,
            Lock::FoldAuth0Logs => 2,
            Lock::Reconcile => 3,
        };
        let taken = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_lock($1, $2) AS "taken!""#,
            NAMESPACE,
            number
        );
        Ok(taken.fetch_one(&mut session).await?.then_some(Held { session }))
    }
}

impl Held {
    /// Begins a transaction that only the holder of the lock can commit.
    pub async fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        Ok(self.session.begin().await?)
    }

    /// Fails if the session, and with it the lock, is gone. A holder calls this at least every
    /// [`CHECK_EVERY`], also when there is nothing to do.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        sqlx::query_scalar!(r#"SELECT 1 AS "alive!""#)
            .fetch_one(&mut self.session)
            .await?;
        Ok(())
    }
}
