//! The record of an attempt, in the order of `src/flow/reconcile/record.rs`.
//!
//! Owns what the third transaction writes. An attempt that lost its lease must never record its write as the current state.

use rolekeeper_domain::evaluation::{Evaluation, Seen};
use rolekeeper_domain::held::HeldBy;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::rule::OnExternalRemoval;

use super::model::{Attempts, again_at};
use super::rows::Assigned;
use super::state::{Claim, Decided, State};
use super::tables::Tables;
use super::tenant::{EDITOR, MANAGED, NAMES, Profile, set};

/// The place of a managed role among the managed ones.
pub(super) fn place(role: &str) -> usize {
    usize::from(role != NAMES[MANAGED[0]])
}

/// Records the effect of a write.
pub(super) fn record(
    model: &Attempts,
    state: &mut State,
    (claim, decided, after): (Claim, Decided, Profile),
) {
    let ours = state.tables.still_ours(claim.lease).is_some();
    let mut writes = state.tables.writes.iter_mut();
    if let Some(write) = writes.find(|write| write.id == decided.write && !write.answered) {
        write.wrote = Some(after.at);
        (write.answered, write.recorded, write.closed) = (true, ours, false);
    }
    if !ours {
        state.tables.enqueue(false, true);
        return;
    }
    // Read while the grant is open: the role is ours, even if it is no longer earned.
    let before = state.tables.shown.replace(after.blocked);
    let mut evaluation = model.evaluation(&mut state.tables, claim.rules);
    state.tables.shown = before;
    complete(state, &decided, after);
    if decided.restores {
        settle_races(&mut state.tables);
    }
    for role in &mut evaluation.roles {
        let of = set(std::slice::from_ref(&role.rule.role));
        role.suppressed |= decided.suppressed & of != 0;
        role.left_open = decided.doubtful & of != 0;
    }
    save(model, state, &evaluation, after);
    let ends = (decided.generation, again_at(&evaluation));
    finish(&mut state.tables, claim.lease, ends, decided.held);
}

/// Completes the rows of a write's changes.
fn complete(state: &mut State, decided: &Decided, after: Profile) {
    for row in decided.changes.into_iter().flatten() {
        let mut open = state.tables.open.iter();
        state.flaws.untrue |= open.any(|change| {
            let has_role = after.roles & 1 << change.role != 0;
            change.id == row && change.granted != has_role
        });
        state.tables.open.retain(|change| change.id != row);
    }
}

/// Ends an attempt, with changes that wait for the operator unless these were released meanwhile.
pub(super) fn finish(
    tables: &mut Tables,
    lease: u8,
    (generation, again_at): (u8, Option<u8>),
    held: Option<HeldBy>,
) {
    let stands = held.is_none_or(|held| match held {
        HeldBy::Brake(change) => tables.braked[change as usize],
        HeldBy::BothBrakes => tables.braked == [true; 2],
        // The sweep finds the user otherwise.
        HeldBy::StreamLoss => tables.loss,
        HeldBy::Import => tables.importing,
        HeldBy::GoneBrake => false,
    });
    if stands {
        tables.finish(lease, generation, held, again_at);
    } else {
        tables.again(lease);
    }
}

/// Stores the state of the managed roles that a profile shows, and the profile.
pub(super) fn save(model: &Attempts, state: &mut State, evaluation: &Evaluation<'_>, shown: Profile) {
    let roles = shown.shows();
    // Only a removal by hand is compared with the time of the state.
    let dated = model.leaves(OnExternalRemoval::Respect);
    let writes = if dated { state.tenant.writes } else { 0 };
    for seen in evaluation.roles.iter().filter_map(|role| role.seen(&roles)) {
        if seen.has_role && seen.wanted {
            state.past.adopted |= 1 << MANAGED[place(seen.role)];
        }
        store(&mut state.tables, seen, writes);
    }
    if evaluation.left_open().is_empty() {
        state.tables.seen = shown.at;
    }
    if model.has_conditions() {
        state.tables.shown = Some(shown.blocked);
    }
    watch(state, evaluation, Some(shown));
}

/// Notes what properties need of a stored decision: that the role is not earned, or is held; and that it is earned.
pub(super) fn watch(state: &mut State, evaluation: &Evaluation<'_>, shown: Option<Profile>) {
    let has_role = shown.is_some_and(|shown| shown.roles & EDITOR != 0);
    let decision = evaluation.roles[0].decision;
    state.past.reported &= decision.wanted && !has_role;
    if decision.wanted && decision.below_since.is_none() {
        state.past.fell = None;
    }
}

fn store(tables: &mut Tables, seen: Seen<'_>, writes: u8) {
    let row = &mut tables.assigned[place(seen.role)];
    *row = Some(Assigned::seen(*row, seen, writes));
}

/// Takes over the effect of our write that no attempt has recorded.
pub(super) fn done_late(
    model: &Attempts,
    state: &mut State,
    evaluation: &mut Evaluation<'_>,
    (role, has_role): (&str, bool),
) {
    let dated = model.leaves(OnExternalRemoval::Respect);
    let writes = if dated { state.tenant.writes } else { 0 };
    if let Some(seen) = evaluation.done_late(role, has_role) {
        store(&mut state.tables, seen, writes);
    }
}

/// Settles the open races.
pub(super) fn settle_races(tables: &mut Tables) {
    let open = std::mem::take(&mut tables.races);
    tables.settled.extend(open);
    tables.overdue = false;
}

/// Notes the decided changes, and those that must not be.
pub(super) fn watch_changes(
    model: &Attempts,
    state: &mut State,
    evaluation: &Evaluation<'_>,
    (claim, changes): (&Claim, &[(String, RoleChange)]),
) {
    for (role, change) in changes {
        let granted = *change == RoleChange::Granted;
        let bit = set(std::slice::from_ref(role));
        if granted {
            state.past.granted |= bit;
        }
        let pinned = evaluation.is_pinned(role);
        let tables = &state.tables;
        let stopped = tables.importing || (!granted && tables.loss);
        let braked = tables.braked[*change as usize] && !claim.free[*change as usize];
        state.flaws.held |= !pinned && (stopped || braked);
        state.flaws.forbidden |= granted && model.forbidden.has(role);
        let rule = &evaluation.roles[place(role)].rule;
        let never = rule.revoke == rolekeeper_domain::rule::Revoke::Never;
        let early = state.past.fell.is_some_and(|fell| state.tables.hours <= fell);
        state.flaws.kept |= !granted && !pinned && (never || early);
        state.flaws.regranted |= granted && !pinned && bit == EDITOR && state.past.reported;
    }
}
