//! The run through all users for a plan: who would gain or lose a role under given rules, partition by partition.
//!
//! Owns the position of the run. Must never write, nor keep more than one partition in memory.

use crate::store::preview::Candidate;
use crate::store::{Compare, Store, StoreError};
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::preview::{Asked, Previewed, of_user, with_moved};
use rolekeeper_domain::rule::Rules;
use rolekeeper_domain::schedule::PARKED_FOR;
use rolekeeper_domain::snapshot::Snapshot;

/// A run through all users.
#[derive(Debug)]
pub struct Preview<'r> {
    store: Store,
    asked: Asked<'r>,
    fingerprint: String,
    conditions: bool,
    /// The last user of the partition before; `None` after the last partition.
    position: Option<String>,
}

impl<'r> Preview<'r> {
    /// Returns the run before its first partition, under `rules`; `in_force` are the rules in force where `rules` are others.
    #[must_use]
    pub fn new(
        store: Store,
        rules: &'r Rules,
        in_force: Option<&'r Rules>,
        forbidden: &'r ForbiddenRoles,
    ) -> Self {
        let asked = Asked {
            rules,
            in_force,
            forbidden,
        };
        Self {
            store,
            asked,
            fingerprint: rules.fingerprint(),
            conditions: rules.have_conditions() || in_force.is_some_and(Rules::have_conditions),
            position: Some(String::new()),
        }
    }

    /// The users of the next partition whose roles change, or stay although they may seem due for a change; `None` after the last
    /// partition.
    ///
    /// # Errors
    /// Postgres refused, or is unreachable.
    pub async fn next(&mut self) -> Result<Option<Vec<Previewed>>, StoreError> {
        let Some(from) = self.position.take() else {
            return Ok(None);
        };
        let compare = Compare {
            rules: self.asked.rules,
            fingerprint: &self.fingerprint,
            writes: true,
            gone_for: PARKED_FOR,
        };
        let candidates = self.store.candidates(&compare, self.conditions, &from).await?;
        self.position = candidates.to;
        let users = candidates.users.iter().map(|one| self.previewed(one));
        Ok(Some(users.collect()))
    }

    /// The preview of one user, by any id of the person; `None` if nothing that concerns roles is stored of it.
    ///
    /// # Errors
    /// Postgres refused, or is unreachable.
    pub async fn user(&self, user: &str) -> Result<Option<Previewed>, StoreError> {
        let candidate = self.store.candidate(user, self.conditions).await?;
        Ok(candidate.map(|one| self.previewed(&one)))
    }

    /// The previews of these users, in their order; each is no linked id.
    ///
    /// # Errors
    /// Postgres refused, or is unreachable.
    pub async fn of(&self, users: &[String]) -> Result<Vec<Previewed>, StoreError> {
        let candidates = self.store.candidates_of(users, self.conditions).await?;
        Ok(candidates.iter().map(|one| self.previewed(one)).collect())
    }

    fn previewed(&self, candidate: &Candidate) -> Previewed {
        let snapshot = to_decide(candidate, self.asked.rules);
        of_user(&self.asked, &candidate.user, &snapshot, &candidate.beside)
    }
}

/// The facts from which the next attempt decides.
pub(super) fn to_decide(candidate: &Candidate, rules: &Rules) -> Snapshot {
    let Candidate {
        snapshot,
        beside,
        moved,
        ..
    } = candidate;
    with_moved(rules, snapshot.clone(), &beside.roles, moved)
}
