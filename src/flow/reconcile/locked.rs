//! Users whose rows another client of Postgres has locked.
//!
//! Owns that such a user is given back, and waits alone. Must never cost a statement while no row was found locked.

use tracing::warn;

use super::context::Context;
use crate::store::{Claim, StoreError, Tx, lease_ends, locked_rows};

impl Context {
    /// Fails at once if another transaction has locked the user's rows, as far as that is known without a wait.
    pub(super) async fn refuse_locked(&self, tx: &mut Tx<'_>, user: &str) -> Result<(), StoreError> {
        if self.locks.are_watched() && !locked_rows::among(tx, &[user]).await?.is_empty() {
            return Err(StoreError::Locked);
        }
        Ok(())
    }

    /// For each of the users, whether no other transaction has locked the rows, as [`Context::refuse_locked`].
    pub(super) async fn free(&self, tx: &mut Tx<'_>, users: &[&str]) -> Result<Vec<bool>, StoreError> {
        if !self.locks.are_watched() {
            return Ok(vec![true; users.len()]);
        }
        let locked = locked_rows::among(tx, users).await?;
        Ok(users.iter().map(|user| !locked.contains(*user)).collect())
    }

    /// Gives claimed users back whose rows another transaction has locked, and leaves the others in `claims`.
    pub(super) async fn give_back_locked(
        &self,
        tx: &mut Tx<'_>,
        claims: &mut Vec<Claim>,
    ) -> Result<(), StoreError> {
        let users: Vec<&str> = claims.iter().map(|claim| claim.user.as_str()).collect();
        let mut free = self.free(tx, &users).await?.into_iter();
        let (free, locked) = std::mem::take(claims)
            .into_iter()
            .partition::<Vec<_>, _>(|_| free.next().unwrap_or(true));
        *claims = free;
        if locked.is_empty() {
            return Ok(());
        }
        self.locks.found();
        let first = locked[0].user.as_str();
        warn!(
            user.id = first,
            users = locked.len(),
            "another client of Postgres has locked rows of users: they are retried within a minute"
        );
        lease_ends::postpone(tx, &locked).await
    }

    /// Gives back a user, or postpones one who is not claimed, because another transaction has locked rows of the user.
    pub(super) async fn postpone_locked(&self, claim: &Claim) -> Result<(), StoreError> {
        self.locks.found();
        warn!(
            user.id = claim.user.as_str(),
            "another client of Postgres has locked rows of users: this user is retried within a minute"
        );
        let mut tx = self.store.begin_bounded().await?;
        lease_ends::postpone(&mut tx, std::slice::from_ref(claim)).await?;
        tx.commit().await?;
        crash_point!("postponed");
        Ok(())
    }
}
