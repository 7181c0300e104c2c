//! The result of `rolekeeper verify`.
//!
//! Owns its JSON form.

use serde::Serialize;

use crate::flow::verify::{Counts, Roles, Sums};

/// The result; a comparison that was not asked for is missing.
#[derive(Serialize)]
pub(super) struct Verified {
    pub(super) counts: Option<Counts>,
    /// Only where a rule needs them.
    pub(super) sums: Option<Sums>,
    pub(super) roles: Option<Roles>,
    pub(super) not_known: Vec<&'static str>,
}

impl Verified {
    /// Whether a part of what was asked for could not be compared.
    pub(super) fn lacks(&self) -> bool {
        self.counts
            .as_ref()
            .is_some_and(|counts| !counts.not_checked.is_empty())
            || self
                .roles
                .as_ref()
                .is_some_and(|roles| !roles.not_checked.is_empty())
    }

    /// Whether anything differs.
    pub(super) fn differs(&self) -> bool {
        self.counts.as_ref().is_some_and(|counts| counts.differing > 0)
            || self.sums.as_ref().is_some_and(|sums| sums.differing > 0)
            || self.roles.as_ref().is_some_and(|roles| roles.differing > 0)
    }
}
