//! The evaluation of a user by a snapshot.
//!
//! Owns when it is read, and that ended pins are removed then. Must never decide: the domain does.

use super::Reconcile;
use crate::auth0::Profile;
use crate::store::{StoreError, Tx, pins, snapshot};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::rule::Shown;

impl Reconcile {
    /// Evaluates the user, once the user's queue row is locked. A whole profile that was just read replaces the stored one.
    pub(super) async fn evaluate(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        profile: Option<&Profile>,
    ) -> Result<Evaluation<'_>, StoreError> {
        let conditions = self.rules.have_conditions();
        let mut snapshot = snapshot::of_user(tx, user, self.verify_after, conditions).await?;
        if let Some(profile) = profile.filter(|profile| profile.is_whole() && conditions) {
            snapshot.shown = Some(Shown::of(profile.json()));
        }
        let evaluation = Evaluation::of(snapshot, &self.rules);
        if evaluation.ended_pins {
            pins::remove_ended(tx, user, evaluation.now()).await?;
        }
        Ok(evaluation)
    }
}
