//! The facts from which a previewed change follows, as digests, and whether a plan still holds for a user.
//!
//! Owns which facts these are: those that events and operators change (counts, ids, pins, suppressed and removed roles), and those
//! that the worker's read of the profile changes (profile, held roles, decisions). Must never find a plan stale because of what the
//! worker did for it: applying a plan again after half of it is done, or all, must work.

use std::fmt::Write as _;

use time::OffsetDateTime;

use super::change::{Change, UserChanges};
use crate::evaluation::{Evaluation, Role};
use crate::plan::RoleChange;
use crate::rule::fingerprint;
use crate::snapshot::Snapshot;

/// The state of a planned user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The facts are those of the plan, and the changes follow from them.
    Valid,
    /// Each planned change is made, or the worker has read the profile since and decided otherwise.
    Done,
    /// The facts have changed, or the changes do not follow from them.
    Stale,
}

/// Digests of facts, SHA-256 in hex.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digests {
    /// Facts that events and operators change.
    pub(super) facts: String,
    /// Facts that the worker's read of the profile changes.
    pub(super) read: String,
}

/// Compares a planned user with the evaluation of now, its digests, and the changes that follow from it. `was_read`: the worker has
/// decided by these rules since the plan was made, after a read of the profile.
pub(super) fn compare(
    planned: &UserChanges,
    evaluation: &Evaluation<'_>,
    now: &Digests,
    follow: &[Change],
    was_read: bool,
) -> Standing {
    let same_facts = now.facts == planned.facts;
    if same_facts && now.read == planned.read {
        return if approved(follow) == approved(&planned.changes) {
            Standing::Valid
        } else {
            Standing::Stale
        };
    }
    let decided = same_facts && was_read;
    let mut changes = planned.changes.iter();
    if changes.all(|change| decided || is_made(change, evaluation)) {
        Standing::Done
    } else {
        Standing::Stale
    }
}

/// The parts of these changes that the operator approves; marks may come and go.
fn approved(changes: &[Change]) -> Vec<(&str, RoleChange, i64)> {
    let one = changes.iter();
    let one = one.map(|change| (change.role.as_str(), change.change, change.plays));
    let mut all: Vec<_> = one.collect();
    all.sort_unstable_by_key(|(role, ..)| *role);
    all
}

fn is_made(change: &Change, evaluation: &Evaluation<'_>) -> bool {
    let mut roles = evaluation.roles.iter();
    let of_role = roles.find(|one| one.rule.role == change.role);
    let known = of_role.and_then(|one| one.known.as_ref());
    known.is_some_and(|known| RoleChange::to(known.has_role) == change.change)
}

impl Digests {
    pub(super) fn of(user: &str, snapshot: &Snapshot, evaluation: &Evaluation<'_>) -> Self {
        let Snapshot { facts, person, .. } = snapshot;
        // The profile is read for rules with conditions, or with other rules beside them.
        let conditional = |role: &Role<'_>| !role.rule.only_if.is_empty();
        let shown = snapshot
            .shown
            .filter(|_| evaluation.roles.iter().any(conditional));
        let mut ids: Vec<&str> = person.aliases.iter().map(String::as_str).collect();
        ids.sort_unstable();
        let mut of_facts = format!(
            "{user:?} {:?} {} {ids:?}\n{} {}\n",
            person.alias_of, person.moved_away, facts.best, facts.total
        );
        let mut of_read = format!(
            "{shown:?}\n{:?}\n",
            snapshot.gone_at.map(OffsetDateTime::unix_timestamp_nanos)
        );
        let mut roles: Vec<_> = evaluation.roles.iter().collect();
        roles.sort_unstable_by(|a, b| a.rule.role.cmp(&b.rule.role));
        for role in roles {
            let (name, known) = (&role.rule.role, role.known.as_ref());
            let has_role = known.is_some_and(|known| known.has_role);
            let adopted = known.is_some_and(|known| known.adopted);
            let pin = role
                .pin
                .as_ref()
                .map(|pin| (pin.on, pin.until.map(OffsetDateTime::unix_timestamp_nanos)));
            let removal = role.removal.as_ref().map(|removal| removal.state);
            let _ = writeln!(of_facts, "{name:?} {} {pin:?} {removal:?}", role.suppressed);
            let _ = writeln!(of_read, "{name:?} {} {has_role} {adopted}", role.decision.wanted);
        }
        Self {
            facts: fingerprint(&of_facts),
            read: fingerprint(&of_read),
        }
    }
}
