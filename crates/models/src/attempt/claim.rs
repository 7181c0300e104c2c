//! The claim of the user, in the order of `src/flow/reconcile/claim.rs` and `permission.rs`.
//!
//! Owns the end of a user who needs no attempt by our own records, and the permission for the expected changes. Must never read the
//! profile.

use rolekeeper_domain::evaluation::{Evaluation, Role};
use rolekeeper_domain::held::{Held, HeldBy};
use rolekeeper_domain::plan::RoleChange;

use super::model::{Attempts, again_at};
use super::record;
use super::rows::Assigned;
use super::state::{Attempt, Claim, State};
use super::tables::Tables;

/// Claims the user, unless our own records show that there is nothing to do.
pub(super) fn claim(model: &Attempts, state: &mut State) -> Option<Attempt> {
    let paused = state.tables.paused;
    let (lease, read) = state.tables.claim()?;
    state.flaws.paused |= paused;
    let row = state.tables.queue?;
    let (events, generation, rules) = (row.events, row.generation, state.tables.rules);
    let mut evaluation = model.evaluation(&mut state.tables, rules);
    if !read && evaluation.up_to_date() {
        decided(&mut state.tables, &evaluation);
        record::watch(state, &evaluation, None);
        let again_at = again_at(&evaluation);
        state.tables.finish(lease, generation, None, again_at);
        return Some(Attempt::Idle);
    }
    if let Some(held) = held_unseen(&state.tables, &evaluation).filter(|_| !read) {
        awaited(&mut state.tables, &evaluation);
        decided(&mut state.tables, &evaluation);
        record::watch(state, &evaluation, None);
        let again_at = again_at(&evaluation);
        state.tables.finish(lease, generation, Some(held), again_at);
        return Some(Attempt::Idle);
    }
    evaluation.forbid(&model.forbidden);
    let braked = state.tables.braked;
    let asked = |change: RoleChange| {
        let asks = !evaluation.holds(change) && evaluation.expects(change);
        asks.then(|| !braked[change as usize])
    };
    Some(Attempt::Claimed(Claim {
        lease,
        events,
        rules,
        asked: RoleChange::ALL.map(asked),
        free: braked.map(|braked| !braked),
    }))
}

/// Stores the decisions without a read.
fn decided(tables: &mut Tables, evaluation: &Evaluation<'_>) {
    for role in &evaluation.roles {
        let place = record::place(&role.rule.role);
        if let Some(assigned) = &mut tables.assigned[place] {
            let below_since = role.decision.below_since.map(super::clock::hour);
            *assigned = Assigned {
                wanted: role.decision.wanted,
                below_since,
                suppressed: role.suppressed && !assigned.has_role,
                ..*assigned
            };
        }
    }
}

/// The reason why a user is held without a read: our own records show that only held changes remain.
fn held_unseen(tables: &Tables, evaluation: &Evaluation<'_>) -> Option<HeldBy> {
    let told = |role: &Role<'_>| role.up_to_date() || (role.pin.is_none() && role.pending_change().is_some());
    if !evaluation.open.is_empty() || !evaluation.roles.iter().all(told) {
        return None;
    }
    let mut held = Held::default();
    for change in evaluation.roles.iter().filter_map(Role::pending_change) {
        if held.without_brake(change, evaluation) {
            continue;
        }
        if !tables.braked[change as usize] {
            return None;
        }
        if !held.brakes.contains(&change) {
            held.brakes.push(change);
        }
    }
    held.by()
}

/// Makes the row of a role that is decided without a read for the first time.
fn awaited(tables: &mut Tables, evaluation: &Evaluation<'_>) {
    let pending = evaluation
        .roles
        .iter()
        .filter(|role| role.pending_change().is_some());
    for role in pending {
        tables.assigned[record::place(&role.rule.role)].get_or_insert(Assigned {
            wanted: role.decision.wanted,
            has_role: false,
            adopted: false,
            fresh: false,
            suppressed: false,
            below_since: None,
            since: 0,
        });
    }
}
