//! Who is active: a session advisory lock on a connection of its own.
//!
//! Owns the lock numbers, which differ from schema to schema. Must never be what correctness rests on: the cursor's compare-and-swap and the
//! lease are; the lock only keeps the others from working for nothing.

use std::sync::PoisonError;
use std::time::Duration;

use super::session::{LOCK_DEADLINE, Session};
use super::{Store, StoreError, Tx};

/// First half of every lock number; the ASCII letters "role".
const NAMESPACE: i32 = 0x726f_6c65;

/// How often a holder shows that it lives.
pub const CHECK_EVERY: Duration = Duration::from_secs(5);

/// What can be held by one worker at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Takes the lock if no other worker has it. A standby keeps its session and asks on it again.
    pub async fn try_lock(&self, lock: Lock) -> Result<Option<Held>, StoreError> {
        let waiting = self.waiting().remove(&lock);
        let mut session = match waiting {
            Some(session) => session,
            None => Session::for_lock(&self.direct).await?,
        };
        let number = match lock {
            Lock::FoldAppEvents => 1,
            Lock::FoldAuth0Logs => 2,
            Lock::Reconcile => 3,
        };
        // Advisory locks are of the database; two deployments in schemas of one database must not wait for each other.
        let taken = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_lock($1, CASE coalesce(current_schema(), 'public') WHEN 'public' THEN $2::int
                   ELSE ((current_schema()::text::regnamespace::oid::bigint * 4 + $2) % 2147483647)::int END) AS "taken!""#,
            NAMESPACE,
            number
        );
        if taken.fetch_one(&mut session.once(LOCK_DEADLINE)).await? {
            return Ok(Some(Held { session }));
        }
        self.waiting().insert(lock, session);
        Ok(None)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeMap<Lock, Session>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Begins a transaction that only the holder of the lock can commit.
    pub async fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        self.session.begin().await
    }

    /// Fails if the session, and with it the lock, is gone, or if Postgres does not respond within 5 s. A holder calls
    /// this at least every [`CHECK_EVERY`], also when there is nothing to do.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        sqlx::query_scalar!(r#"SELECT 1 AS "alive!""#)
            .fetch_one(&mut self.session.once(LOCK_DEADLINE))
            .await?;
        Ok(())
    }
}
