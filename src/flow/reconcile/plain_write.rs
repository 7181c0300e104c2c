//! A plain write on its way, as values: asked for, decided, written.
//!
//! Owns what the steps of a batch pass on. Must never decide.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::auth0::Profile;
use crate::store::results::Left;
use crate::store::{Cause, Claim};
use rolekeeper_domain::plan::{Plan, RoleChange, SeenRoles};

/// A user whose profile was read, to be decided together with others.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) claim: Claim,
    pub(super) profile: Arc<Profile>,
    /// Changes that the brakes let pass.
    pub(super) pass: Vec<RoleChange>,
    /// No write may follow after this time.
    pub(super) until: Instant,
}

/// A plain decision.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) plan: Plan,
    /// Rows of the audit, in the order of the plan's changes.
    pub(super) changes: Vec<Uuid>,
    /// Plays that the rule counted, in the same order.
    pub(super) plays: Vec<i64>,
    /// The row of the write.
    pub(super) write: Uuid,
    pub(super) generation: i64,
    pub(super) cause: Option<Cause>,
    /// It keeps or revokes a role that another account of the id may have had.
    pub(super) earlier: bool,
    /// Time of the decision, by Postgres' clock.
    pub(super) at: OffsetDateTime,
    pub(super) remains: Remains,
}

/// The part of a plain decision that its record stores, beside the profile.
#[derive(Clone, Debug)]
pub(super) struct Remains {
    pub(super) roles: Vec<Left>,
    /// Time at which a decision changes without an event.
    pub(super) again_at: Option<OffsetDateTime>,
}

impl Remains {
    /// The state of each role as this profile shows it.
    pub(super) fn seen(&self, after: &SeenRoles) -> Vec<Left> {
        let seen = self.roles.iter().map(|left| {
            let has_role = after.has(&left.role);
            Left {
                has_role,
                // A role that is held and earned is ours from now on; a role that is gone cannot be owned.
                adopted: has_role && (left.adopted || left.wanted),
                ..left.clone()
            }
        });
        // An unknown role that is neither held nor wanted needs no row.
        seen.filter(|left| left.has_role || left.wanted || left.known)
            .collect()
    }
}

/// A plain write that Auth0 has done.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) claim: Claim,
    pub(super) generation: i64,
    pub(super) write: Uuid,
    pub(super) at: Option<OffsetDateTime>,
    pub(super) changes: Vec<Uuid>,
    pub(super) remains: Remains,
    pub(super) after: Arc<Profile>,
}
