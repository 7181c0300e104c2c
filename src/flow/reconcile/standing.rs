//! Where a user stands: facts, what was decided before, what is open.
//!
//! Owns the decision from facts alone. Must never need Auth0.

use std::time::Duration;

use crate::domain::plan::{Change, Want};
use crate::domain::rule::{Rule, Rules};
use crate::store::{Assignment, OpenChange, StoreError, Tx, assignments, cursors, playlists, role_changes};

/// A user's standing under the rules in force.
#[derive(Debug)]
pub(super) struct Standing<'r> {
    /// Plays of the best playlist.
    pub(super) plays: i64,
    /// One a rule.
    pub(super) roles: Vec<Role<'r>>,
    /// Changes decided before, of which nobody knows whether they were done.
    pub(super) open: Vec<OpenChange>,
    /// A stream's loss stands: counts may be too low, so nothing is taken away.
    pub(super) loss: bool,
}

/// What a rule says of the user.
#[derive(Debug)]
pub(super) struct Role<'r> {
    /// The rule.
    pub(super) rule: &'r Rule,
    /// Whether the user should hold the role.
    pub(super) wanted: bool,
    /// What we know of it.
    pub(super) known: Option<Assignment>,
}

impl Role<'_> {
    /// Whether our own records say that nothing is to be done and nothing to be verified.
    pub(super) fn in_step(&self) -> bool {
        match &self.known {
            None => !self.wanted,
            Some(known) if self.wanted => known.declined || (known.held && known.adopted && known.fresh),
            Some(known) => !known.held || (!known.adopted && known.fresh),
        }
    }

    pub(super) fn adopted(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.adopted)
    }

    fn declined(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.declined)
    }

    /// What our own records alone say is to be done; none when they say nothing, or only a look can tell.
    pub(super) fn awaits(&self) -> Option<Change> {
        let held = self.known.as_ref().is_some_and(|known| known.held);
        match (self.wanted, held) {
            (true, false) if !self.declined() => Some(Change::Granted),
            (false, true) if self.adopted() => Some(Change::Revoked),
            _ => None,
        }
    }
}

impl<'r> Standing<'r> {
    pub(super) async fn read(
        tx: &mut Tx<'_>,
        user: &str,
        rules: &'r Rules,
        verify_after: Duration,
    ) -> Result<Self, StoreError> {
        let plays = playlists::best(tx, user).await?;
        let mut known = assignments::of_user(tx, user, verify_after).await?;
        let roles = rules.as_slice().iter().map(|rule| {
            let known = known
                .iter()
                .position(|one| one.role == rule.role)
                .map(|index| known.swap_remove(index));
            let wanted = rule.wanted(plays, known.as_ref().is_some_and(|known| known.wanted));
            Role { rule, wanted, known }
        });
        let roles = roles.collect();
        let open = role_changes::open(tx, user).await?;
        Ok(Self {
            plays,
            roles,
            open,
            loss: cursors::any_open_loss(tx).await?,
        })
    }

    /// Whether the user needs no look.
    pub(super) fn in_step(&self) -> bool {
        self.open.is_empty() && self.roles.iter().all(Role::in_step)
    }

    /// What is wanted of each owned role. A declined grant is left alone.
    pub(super) fn wants(&self) -> Vec<Want<'r>> {
        let want = |role: &Role<'r>| Want {
            role: &role.rule.role,
            wanted: role.wanted,
            adopted: role.adopted(),
        };
        let left_alone = |role: &&Role<'_>| role.wanted && role.declined();
        self.roles
            .iter()
            .filter(|role| !left_alone(role))
            .map(want)
            .collect()
    }
}
