//! The checks of the configured address: Postgres responds there, and sessions work.
//!
//! Owns the proof by two sessions and one lock. Must never leave a lock behind.

use super::session::{LOCK_DEADLINE, Session};
use super::{Store, StoreError};

impl Store {
    /// Refuses a schema that does not fit this binary, and an address where Postgres does not respond: a pool retries there, and
    /// ends without the reason, which a separate connection has.
    ///
    /// # Errors
    /// The schema is older or newer than this binary, or Postgres is unreachable.
    pub async fn check_to_read(&self) -> Result<(), StoreError> {
        let checked = self.check_schema().await;
        if matches!(checked, Err(StoreError::Postgres(sqlx::Error::PoolTimedOut))) {
            Session::open(&self.pooled).await?;
        }
        checked
    }

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
