//! Removals by hand of persons with several ids: what a link, a move and the end of a link do to one that is not settled.
//!
//! Owns which removals go along. Must never pin a role, nor grant it: the next decision about each id does, once the record is
//! confirmed or the operator has decided.

use super::attempt::Attempt;
use crate::store::removals::{self, AnnouncedChange};
use crate::store::{StoreError, Tx, carried_removals};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::SeenRoles;
use rolekeeper_domain::removal::{RemovalState, Verdict, judge};

impl Attempt {
    /// Copies the removals of accounts to the ids that leave them, each with its account, as bans. Those of an undone move go back with
    /// it. An id that goes along with its account (`linked`) does not leave the person. Call it while the links still stand. `seen`:
    /// the roles of the account's profile, none if Auth0 does not know it.
    pub(super) async fn removals_outlast(
        &self,
        tx: &mut Tx<'_>,
        seen: Option<&SeenRoles>,
        leaving: &[(&str, &str)],
        (undone, linked): (&[String], &[String]),
    ) -> Result<(), StoreError> {
        let user = self.claim.user.as_str();
        if let Some(seen) = seen.filter(|_| leaving.iter().any(|(_, primary)| *primary == user)) {
            let person = self.context.evaluate(tx, user, None).await?;
            self.unsettled(tx, user, &person, seen).await?;
        }
        let stays_one = |id: &str| id == user || linked.iter().any(|linked| linked == id);
        for (alias, primary) in leaving {
            if undone.iter().any(|undone| undone == alias) {
                carried_removals::give_back(tx, alias, primary).await?;
            } else if !(stays_one(alias) && stays_one(primary)) {
                carried_removals::outlast(tx, alias, primary, seen.is_some()).await?;
            }
        }
        Ok(())
    }

    /// The roles of an id that is linked now which another client may have removed from it before; `seen`: those of the account.
    pub(super) async fn removed_before(
        &self,
        tx: &mut Tx<'_>,
        alias: &str,
        evaluation: &Evaluation<'_>,
        seen: &SeenRoles,
    ) -> Result<Vec<String>, StoreError> {
        let mut removed = Vec::new();
        for role in self.unsettled(tx, alias, evaluation, seen).await? {
            let missed = evaluation
                .roles
                .iter()
                .any(|one| one.rule.role == role && one.removal.is_some());
            // No read of the id has missed the role: only a record says that it was removed.
            if missed || carried_removals::is_announced(tx, alias, &role).await? {
                removed.push(role);
            } else {
                removals::forget(tx, alias, &role).await?;
            }
        }
        Ok(removed)
    }

    /// Stores the removals of an id that wait for a record, and returns their roles.
    async fn unsettled(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        evaluation: &Evaluation<'_>,
        seen: &SeenRoles,
    ) -> Result<Vec<String>, StoreError> {
        let mut roles = Vec::new();
        for (removal, since) in evaluation.removed_by_hand(seen) {
            if removal.state != RemovalState::Waiting {
                continue;
            }
            let found = removals::records(tx, user, &removal.role, since).await?;
            if judge(found.records, removal.found_at, evaluation.now()) != Verdict::Restore {
                removals::keep(tx, user, &removal, &AnnouncedChange::default()).await?;
                roles.push(removal.role);
            }
        }
        Ok(roles)
    }
}
