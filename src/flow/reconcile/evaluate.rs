//! The evaluation of a user by a snapshot.
//!
//! Owns when it is read, and that ended pins are removed then. Must never decide: the domain does.

use super::Reconcile;
use crate::store::{StoreError, Tx, pins, snapshot};
use rolekeeper_domain::evaluation::Evaluation;

impl Reconcile {
    /// Evaluates the user, once the user's queue row is locked.
    pub(super) async fn evaluate(&self, tx: &mut Tx<'_>, user: &str) -> Result<Evaluation<'_>, StoreError> {
        let snapshot = snapshot::of_user(tx, user, self.verify_after).await?;
        let evaluation = Evaluation::of(snapshot, &self.rules);
        if evaluation.ended_pins {
            pins::remove_ended(tx, user, evaluation.now()).await?;
        }
        Ok(evaluation)
    }
}
