//! The preview of a comparison: which roles a user would gain or lose under given rules, and why.
//!
//! Owns that the evaluation of an attempt decides, here too. Must never say that a change is made: only an attempt reads the
//! profile, and asks the brakes.

mod change;
mod facts;
pub mod file;
mod moved;
mod summary;
#[cfg(test)]
mod tests;
mod why;

pub use change::{Beside, Change, Left, Mark, Previewed, UserChanges};
pub use facts::Standing;
pub use moved::with_moved;
pub use summary::{Kind, Shown, Summary};

use facts::Digests;
use time::OffsetDateTime;

use crate::evaluation::{Evaluation, Role};
use crate::forbidden::ForbiddenRoles;
use crate::plan::RoleChange;
use crate::rule::Rules;
use crate::snapshot::Snapshot;

/// The rules of a preview.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// The rules under which users are evaluated.
    pub rules: &'r Rules,
    /// The rules in force, where others are evaluated.
    pub in_force: Option<&'r Rules>,
    /// Roles that are never added.
    pub forbidden: &'r ForbiddenRoles,
}

/// The changes of one user. A linked or moved id has none, since the account that it belongs to has them.
#[must_use]
pub fn of_user(asked: &Asked<'_>, user: &str, snapshot: &Snapshot, beside: &Beside) -> Previewed {
    let evaluation = Evaluation::of(snapshot.clone(), asked.rules);
    let (changes, left) = compared(asked, snapshot, beside, &evaluation);
    let changes = (!changes.is_empty()).then(|| {
        let Digests { facts, read } = Digests::of(user, snapshot, &evaluation);
        UserChanges {
            user: user.to_owned(),
            facts,
            read,
            changes,
        }
    });
    Previewed { changes, left }
}

/// Compares a planned user with the user's snapshot, under the rules of the plan. The worker decides by these rules in each read
/// after `decided_since`; `None` while other rules are in force.
#[must_use]
pub fn standing(
    planned: &UserChanges,
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    beside: &Beside,
    decided_since: Option<OffsetDateTime>,
) -> Standing {
    let evaluation = Evaluation::of(snapshot.clone(), asked.rules);
    let (follow, _) = compared(asked, snapshot, beside, &evaluation);
    let now = Digests::of(&planned.user, snapshot, &evaluation);
    let was_read = decided_since.is_some_and(|since| beside.read_at.is_some_and(|at| at > since));
    facts::compare(planned, &evaluation, &now, &follow, was_read)
}

/// The changes of an evaluated user, and the roles that stay although they may seem due for a change.
fn compared(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    beside: &Beside,
    evaluation: &Evaluation<'_>,
) -> (Vec<Change>, Vec<(String, Left)>) {
    let (mut changes, mut left) = (Vec::new(), Vec::new());
    if evaluation.person.alias_of.is_some() || evaluation.person.moved_away {
        return (changes, left);
    }
    let in_force = asked
        .in_force
        .map(|rules| Evaluation::of(snapshot.clone(), rules));
    for role in &evaluation.roles {
        let name = role.rule.role.as_str();
        if let Some(why) = left_as_it_is(role, evaluation, beside, asked.forbidden) {
            left.push((name.to_owned(), why));
        } else if let Some(change) = due(role, beside) {
            let of_now = in_force.iter().flat_map(|now| &now.roles);
            let already = of_now.filter(|now| now.rule.role == name);
            let already = already
                .filter_map(|now| due(now, beside))
                .any(|now| now == change);
            let plays = evaluation.plays(role.rule);
            changes.push(Change {
                role: name.to_owned(),
                change,
                plays,
                why: why::of(role, plays, snapshot.shown),
                marks: marks(role, change, evaluation, beside, already),
            });
        }
    }
    (changes, left)
}

/// The change of the role that an attempt has to make, as far as our own records tell.
fn due(role: &Role<'_>, beside: &Beside) -> Option<RoleChange> {
    let holds = holds(role, beside);
    if role.unsure {
        return (!holds).then_some(RoleChange::Granted);
    }
    let change = role.pending_change()?;
    (change == RoleChange::Revoked || !holds).then_some(change)
}

/// Whether the user holds the role, as last read. Of a role without a stored state, the stored profile says it.
fn holds(role: &Role<'_>, beside: &Beside) -> bool {
    let name = role.rule.role.as_str();
    let in_profile = || beside.roles.iter().any(|one| one == name);
    role.known
        .as_ref()
        .map_or_else(in_profile, |known| known.has_role)
}

/// The reason why a role stays as it is, although it may seem due for a change.
fn left_as_it_is(
    role: &Role<'_>,
    evaluation: &Evaluation<'_>,
    beside: &Beside,
    forbidden: &ForbiddenRoles,
) -> Option<Left> {
    let (due, holds) = (due(role, beside), holds(role, beside));
    let decision = &role.decision;
    if due.is_some() && evaluation.gone_at.is_some() {
        Some(Left::Gone)
    } else if due == Some(RoleChange::Granted) && forbidden.has(&role.rule.role) {
        Some(Left::Forbidden)
    } else if role.unsure && holds && role.is_ours() {
        Some(Left::ProfileUnknown)
    } else if role.pin.is_none() && role.is_ours() && decision.wanted && decision.below_since.is_some() {
        Some(Left::Kept)
    } else if holds && !role.wanted() && !role.adopted() && !role.unsure {
        Some(Left::Unadopted)
    } else {
        None
    }
}

fn marks(
    role: &Role<'_>,
    change: RoleChange,
    evaluation: &Evaluation<'_>,
    beside: &Beside,
    already: bool,
) -> Vec<Mark> {
    let name = role.rule.role.as_str();
    let pinned = role.pin.is_some();
    let import = !pinned && evaluation.importing;
    let loss = !pinned && !import && evaluation.holds(change);
    let in_flight = evaluation
        .open
        .iter()
        .any(|open| open.role == name && RoleChange::to(open.granted) == change);
    let turned = beside
        .changed
        .iter()
        .any(|(role, made)| role == name && *made != change);
    let all = [
        (Mark::DueAlready, already),
        (Mark::Pinned, pinned),
        (Mark::HeldByLoss, loss),
        (Mark::HeldByImport, import),
        (
            Mark::HeldByBrake,
            !pinned && !loss && !import && evaluation.engaged.contains(&change),
        ),
        (Mark::WouldFlap, beside.flapping || turned),
        (Mark::ProfileUnknown, role.unsure),
        (Mark::RemovalOpen, role.removal.is_some()),
        (Mark::InFlight, in_flight),
        (Mark::Parked, beside.parked),
    ];
    all.into_iter()
        .filter(|(_, is)| *is)
        .map(|(mark, _)| mark)
        .collect()
}
