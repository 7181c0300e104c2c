//! The checks of the configured address: it is reachable, and sessions work there.
//!
//! Owns the proof by two sessions and one lock. Must never leave a lock behind.

use super::session::{LOCK_DEADLINE, Session};
use super::{Store, StoreError};

impl Store {
    /// Refuses an address where Postgres does not respond, with the reason at once: a pool retries, and ends without it.
    ///
    /// # Errors
    /// Postgres is unreachable, or refuses the login.
    pub async fn check_reachable(&self) -> Result<(), StoreError> {
        Session::open(&self.pooled).await?;
        Ok(())
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
