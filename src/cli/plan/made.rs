//! A plan that was made, as both outputs show it.
//!
//! Owns which brakes its changes would engage, and whether its rules can be put in force. Must never print.

use crate::store::preview::Deployment;
use crate::store::{InForce, Paused};
use rolekeeper_domain::brake::BrakeLimits;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::preview::Summary;
use rolekeeper_domain::preview::file::Header;
use rolekeeper_domain::rule::Versioned;
use rolekeeper_domain::rule::offer::{Verdict, judge};

/// A plan that was made.
pub(super) struct Made<'a> {
    pub(super) header: &'a Header,
    pub(super) deployment: &'a Deployment,
    pub(super) in_force: &'a InForce,
    pub(super) proposed: Option<&'a Versioned>,
    pub(super) summary: &'a Summary,
    pub(super) brake: BrakeLimits,
    /// Attempts and writes are paused.
    pub(super) paused: Option<&'a Paused>,
    /// Writes are on.
    pub(super) writes: bool,
    /// The plan file, as it is shown.
    pub(super) kept: Option<&'a str>,
}

impl Made<'_> {
    /// Whether the proposed rules can be put in force; none without proposed rules.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let in_force = self.in_force.to_compare();
        self.proposed.map(|proposed| judge(proposed, Some(&in_force)))
    }

    /// The kinds of changes whose brake these changes alone would engage, with the number of holders.
    pub(super) fn engaging(&self) -> Vec<(RoleChange, i64)> {
        let holders = [
            (RoleChange::Granted, self.deployment.holders),
            (RoleChange::Revoked, self.deployment.adopted),
        ];
        let engages = |(change, holders): &(RoleChange, i64)| {
            self.summary.engages(*change, self.brake.of(*change), *holders)
        };
        holders.into_iter().filter(engages).collect()
    }
}
