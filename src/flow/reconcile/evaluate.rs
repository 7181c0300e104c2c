//! The evaluation of a user by a snapshot.
//!
//! Owns when it is read. Must never decide: the domain does.

use super::Reconcile;
use crate::store::{StoreError, Tx, snapshot};
use rolekeeper_domain::evaluation::Evaluation;

impl Reconcile {
    /// Evaluates the user, once the user's queue row is locked.
    pub(super) async fn evaluate(&self, tx: &mut Tx<'_>, user: &str) -> Result<Evaluation<'_>, StoreError> {
        let snapshot = snapshot::of_user(tx, user, self.verify_after).await?;
        Ok(Evaluation::of(snapshot, &self.rules))
    }
}
