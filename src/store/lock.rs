//! Leadership: a session advisory lock on a separate connection.
//!
//! Owns the lock numbers, which differ between schemas. Must never be required for correctness, which rests on the
//! cursor's compare-and-swap and the lease; the lock only saves other workers useless work.

use std::time::Duration;

use super::session::{LOCK_DEADLINE, Session};
use super::{StoreError, Tx};

/// First half of every lock number: the ASCII letters "role".
const NAMESPACE: i32 = 0x726f_6c65;

/// How often the active worker checks that its session is alive.
pub const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Work that one worker does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// Folding APP_EVENTS.
    FoldAppEvents,
    /// Folding AUTH0_LOGS.
    FoldAuth0Logs,
    /// Reconciling and sweeping.
    Reconcile,
    /// Searching for holders of roles.
    Discover,
}

/// A held lock. It lasts as long as the session; dropping the session releases it. Work on this session is done by the
/// active worker, or fails.
#[derive(Debug)]
pub struct LockGuard {
    pub(super) session: Session,
}

impl Lock {
    /// Takes the lock for the session, unless another worker has it.
    pub(super) async fn take(self, session: &mut Session) -> Result<bool, StoreError> {
        let number = match self {
            Self::FoldAppEvents => 1,
            Self::FoldAuth0Logs => 2,
            Self::Reconcile => 3,
            // The numbers of the next schema begin at 4.
            Self::Discover => 0,
        };
        // Advisory locks belong to the database; two deployments in schemas of one database must not wait for each
        // other.
        let taken = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_lock($1, CASE coalesce(current_schema(), 'public') WHEN 'public' THEN $2::int
                   ELSE ((current_schema()::text::regnamespace::oid::bigint * 4 + $2) % 2147483647)::int END) AS "taken!""#,
            NAMESPACE,
            number
        );
        Ok(taken.fetch_one(&mut session.once(LOCK_DEADLINE)).await?)
    }
}

impl LockGuard {
    /// Begins a transaction that only the active worker can commit.
    pub async fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        self.session.begin().await
    }

    /// Fails if the session, and with it the lock, is gone, or if Postgres does not respond within 5 s. The active
    /// worker calls this at least every [`CHECK_EVERY`], even when idle.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        sqlx::query_scalar!(r#"SELECT 1 AS "alive!""#)
            .fetch_one(&mut self.session.once(LOCK_DEADLINE))
            .await?;
        Ok(())
    }
}
