//! The record of an attempt, in the order of `src/flow/reconcile/record.rs`.
//!
//! Owns what the third transaction writes. An attempt that lost its lease must never record its write as the current state.

use rolekeeper_domain::evaluation::{Evaluation, Seen};
use rolekeeper_domain::plan::SeenRoles;

use super::model::Attempts;
use super::state::{Claim, Decided, State};
use super::tables::{Assigned, Tables};
use super::tenant::{EDITOR, Profile, list};

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
    let mut evaluation = model.evaluation(&state.tables);
    if let Some(row) = decided.change {
        let granted = after.roles & EDITOR != 0;
        let wrong = |change: &&super::tables::Change| change.id == row && change.granted != granted;
        state.flaws.untrue |= state.tables.open.iter().any(|change| wrong(&change));
        state.tables.open.retain(|change| change.id != row);
    }
    if decided.restores {
        settle_races(&mut state.tables);
    }
    evaluation.roles[0].left_open = decided.doubtful;
    save(state, &evaluation, after);
    state.tables.finish(claim.lease, decided.generation, decided.held);
}

/// Stores the state of the managed role that a profile shows.
pub(super) fn save(state: &mut State, evaluation: &Evaluation<'_>, shown: Profile) {
    let roles = SeenRoles::List(list(shown.roles));
    for seen in evaluation.roles.iter().filter_map(|role| role.seen(&roles)) {
        state.past.adopted |= seen.has_role && seen.wanted;
        store(&mut state.tables, seen);
    }
    if evaluation.left_open().is_empty() {
        state.tables.seen = shown.at;
    }
}

fn store(tables: &mut Tables, seen: Seen<'_>) {
    tables.assigned = Some(Assigned {
        wanted: seen.wanted,
        has_role: seen.has_role,
        adopted: seen.adopted,
        fresh: true,
    });
}

/// Takes over the effect of our write that no attempt has recorded.
pub(super) fn done_late(state: &mut State, evaluation: &mut Evaluation<'_>, (role, has_role): (&str, bool)) {
    if let Some(seen) = evaluation.done_late(role, has_role) {
        store(&mut state.tables, seen);
    }
}

/// Settles the open races.
pub(super) fn settle_races(tables: &mut Tables) {
    let open = std::mem::take(&mut tables.races);
    tables.settled.extend(open);
    tables.overdue = false;
}
