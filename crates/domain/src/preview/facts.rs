//! The facts from which a previewed change follows, as a digest, and whether a plan still holds for a user.
//!
//! Owns which facts these are: counts, ids, profile, pins, and the state and decision of each role. Must never include what an
//! attempt writes on the way to the planned change: applying a plan again after half of it is done must not find it stale.

use std::fmt::Write as _;

use super::change::UserChanges;
use crate::evaluation::{Evaluation, Role};
use crate::plan::RoleChange;
use crate::rule::{Rules, fingerprint};
use crate::snapshot::Snapshot;

/// The state of a planned user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The facts are those of the plan.
    Valid,
    /// The planned changes are made.
    Done,
    /// The facts have changed.
    Stale,
}

/// Compares a planned user with the user's snapshot, under the rules of the plan.
#[must_use]
pub fn standing(planned: &UserChanges, snapshot: &Snapshot, rules: &Rules) -> Standing {
    let evaluation = Evaluation::of(snapshot.clone(), rules);
    if digest(&planned.user, snapshot, &evaluation) == planned.facts {
        return Standing::Valid;
    }
    let is_made = |role: &str, change: RoleChange| {
        let of_role = evaluation.roles.iter().find(|one| one.rule.role == role);
        let known = of_role.and_then(|one| one.known.as_ref());
        known.is_some_and(|known| RoleChange::to(known.has_role) == change)
    };
    let mut changes = planned.changes.iter();
    if changes.all(|planned| is_made(&planned.role, planned.change)) {
        Standing::Done
    } else {
        Standing::Stale
    }
}

/// SHA-256 over the facts, in hex.
pub(super) fn digest(user: &str, snapshot: &Snapshot, evaluation: &Evaluation<'_>) -> String {
    let Snapshot { facts, person, .. } = snapshot;
    // The profile is read for rules with conditions, or with other rules beside them.
    let conditional = |role: &Role<'_>| !role.rule.only_if.is_empty();
    let shown = snapshot
        .shown
        .filter(|_| evaluation.roles.iter().any(conditional));
    let mut ids: Vec<&str> = person.aliases.iter().map(String::as_str).collect();
    ids.sort_unstable();
    let mut text = format!(
        "{user:?} {:?} {ids:?}\n{} {}\n{shown:?}\n{:?}\n",
        person.alias_of,
        facts.best,
        facts.total,
        snapshot.gone_at.map(time::OffsetDateTime::unix_timestamp_nanos)
    );
    let mut roles: Vec<_> = evaluation.roles.iter().collect();
    roles.sort_unstable_by(|a, b| a.rule.role.cmp(&b.rule.role));
    for role in roles {
        let known = role.known.as_ref();
        let has_role = known.is_some_and(|known| known.has_role);
        let adopted = known.is_some_and(|known| known.adopted);
        let pin = role
            .pin
            .as_ref()
            .map(|pin| (pin.on, pin.until.map(time::OffsetDateTime::unix_timestamp_nanos)));
        let removal = role.removal.as_ref().map(|removal| removal.state);
        let _ = writeln!(
            text,
            "{:?} {} {has_role} {adopted} {} {pin:?} {removal:?}",
            role.rule.role, role.decision.wanted, role.suppressed
        );
    }
    fingerprint(&text)
}
