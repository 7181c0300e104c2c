//! A user as the next attempt finds it, where the operator moved other ids to it and no attempt has linked them yet.
//!
//! Owns that their counts, pins and decisions count for the user. Must never be used where links are stored: an attempt reads the
//! profile first.

use crate::evaluation::{Carried, Evaluation, Sight, carried};
use crate::rule::Rules;
use crate::snapshot::{Assignment, Snapshot};

/// The snapshot of a user, with what these moved ids bring. `roles` are all roles in the stored profile of the user.
#[must_use]
pub fn with_moved(
    rules: &Rules,
    snapshot: Snapshot,
    roles: &[String],
    moved: &[(String, Snapshot)],
) -> Snapshot {
    let mut joined = snapshot;
    for (id, theirs) in moved {
        let (ours, other) = (
            Evaluation::of(joined.clone(), rules),
            Evaluation::of(theirs.clone(), rules),
        );
        for (role, secondary) in ours.roles.iter().zip(&other.roles) {
            let name = role.rule.role.as_str();
            let sight = Sight {
                shown: roles.iter().any(|one| one == name),
                read_before: true,
                only_found: false,
                removed: false,
                moved: true,
            };
            if let Some(carried) = carried(role, secondary, sight, ours.now()) {
                joined.assignments.retain(|one| one.role != name);
                joined.assignments.push(stored(name, &carried, sight.shown));
            }
        }
        joined.facts.best = joined.facts.best.max(theirs.facts.best);
        joined.facts.total = joined.facts.total.saturating_add(theirs.facts.total);
        joined.pins.extend(theirs.pins.iter().cloned());
        joined.person.aliases.push(id.clone());
    }
    joined
}

/// A carried role as it is stored after the link.
fn stored(role: &str, carried: &Carried, shown: bool) -> Assignment {
    Assignment {
        role: role.to_owned(),
        wanted: carried.wanted,
        has_role: carried.has_role || shown,
        adopted: carried.adopted,
        since: carried.since,
        below_since: carried.below_since,
        suppressed: carried.suppressed,
        fresh: false,
    }
}
