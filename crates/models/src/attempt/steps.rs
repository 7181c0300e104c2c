//! The steps of one leader, in the order of `src/flow/reconcile/steps.rs`.
//!
//! Owns claim, read and write. Must never send a write that was not decided.

use rolekeeper_domain::schedule::{Ended, Next, next};
use std::time::Duration;

use super::action::{Patch, Step};
use super::model::Attempts;
use super::state::{Attempt, Claim, Decided, Seen, State};
use super::tenant::{EDITOR, OTHER, Writer};
use super::{decide, record};

/// The steps that a leader can make in this state.
pub(super) fn steps(state: &State, which: usize, steps: &mut Vec<Step>) {
    let may_fail = state.left.failures > 0;
    match &state.attempts[which] {
        Attempt::Idle => {
            steps.push(Step::Claim);
            return;
        }
        Attempt::Claimed(_) => {
            steps.push(Step::Get);
            if may_fail {
                steps.push(Step::GetFails);
            }
        }
        Attempt::Read(..) => steps.push(Step::Decide),
        Attempt::Decided(..) => {
            steps.push(Step::Patch(Patch::Answered));
            if may_fail {
                let failures = [Patch::AnswerLost, Patch::NotApplied, Patch::Limited];
                steps.extend(failures.map(Step::Patch));
            }
        }
        Attempt::Written(..) => steps.push(Step::Record),
    }
    steps.push(Step::Crash);
}

/// Makes one step of a leader; none if it is not possible.
pub(super) fn step(model: &Attempts, state: &mut State, which: usize, step: Step) -> Option<()> {
    state.attempts[which] = match (step, state.attempts[which]) {
        (Step::Crash, attempt) => {
            // The response was read, and nothing tells it.
            state.past.unseen_loss |= matches!(attempt, Attempt::Written(_, decided, _) if decided.overwrote);
            Attempt::Idle
        }
        (Step::Claim, Attempt::Idle) => claim(model, state)?,
        (Step::Get, Attempt::Claimed(claim)) => Attempt::Read(
            claim,
            Seen {
                profile: state.tenant.profile,
                date: state.tenant.writes,
                intended: state.tenant.intended,
            },
        ),
        (Step::GetFails, Attempt::Claimed(claim)) => {
            state.left.failures = state.left.failures.checked_sub(1)?;
            fails(state, claim, Ended::Later)
        }
        (Step::Decide, Attempt::Read(claim, seen)) => decide::decide(model, state, (claim, seen)),
        (Step::Patch(outcome), Attempt::Decided(claim, decided)) => patch(state, outcome, (claim, decided))?,
        (Step::Record, Attempt::Written(claim, decided, after)) => {
            record::record(model, state, (claim, decided, after));
            Attempt::Idle
        }
        _ => return None,
    };
    Some(())
}

/// Claims the user, unless our own records show that there is nothing to do.
fn claim(model: &Attempts, state: &mut State) -> Option<Attempt> {
    let paused = state.tables.paused;
    let (lease, read) = state.tables.claim()?;
    state.flaws.paused |= paused;
    let row = state.tables.queue?;
    let (events, generation) = (row.events, row.generation);
    let evaluation = model.evaluation(&state.tables);
    if !read && evaluation.up_to_date() {
        if let Some(assigned) = &mut state.tables.assigned {
            assigned.wanted = evaluation.roles[0].decision.wanted;
        }
        state.tables.finish(lease, generation, None);
        return Some(Attempt::Idle);
    }
    Some(Attempt::Claimed(Claim {
        lease,
        events,
        passes: !state.tables.braked,
    }))
}

/// Requeues the user of a failed call, as the domain says.
fn fails(state: &mut State, claim: Claim, ended: Ended) -> Attempt {
    match next(ended, 1, Duration::from_secs(1), 0.0, None) {
        Next::Again { .. } => state.tables.again(claim.lease),
        Next::Done | Next::Parked { .. } | Next::StagePaused { .. } => state.flaws.dropped = true,
    }
    Attempt::Idle
}

/// Sends the write.
fn patch(state: &mut State, outcome: Patch, (claim, mut decided): (Claim, Decided)) -> Option<Attempt> {
    if outcome != Patch::Answered {
        state.left.failures = state.left.failures.checked_sub(1)?;
    }
    if matches!(outcome, Patch::Answered | Patch::AnswerLost) {
        decided.overwrote = watch(state, &decided);
        state.past.unseen_loss |= outcome == Patch::AnswerLost && decided.overwrote;
        let after = state.tenant.write(decided.roles, Writer::Us(decided.write));
        if outcome == Patch::Answered {
            return Some(Attempt::Written(claim, decided, after));
        }
    }
    let ended = if outcome == Patch::Limited {
        // It certainly changed nothing.
        state
            .tables
            .writes
            .retain(|write| write.id != decided.write || write.answered);
        Ended::Limited
    } else {
        Ended::Later
    };
    Some(fails(state, claim, ended))
}

/// Notes what the properties need of a write that is applied. Returns whether it overwrites a change of another client.
fn watch(state: &mut State, decided: &Decided) -> bool {
    let Decided { seen, roles, .. } = *decided;
    let (read, now) = (seen.profile.roles, state.tenant.profile.roles);
    state.flaws.foreign |= (roles ^ read) & OTHER != 0 && roles & OTHER != seen.intended;
    let revokes = roles & EDITOR == 0 && read & EDITOR != 0;
    state.flaws.unadopted |= revokes && !state.past.granted && !state.past.adopted;
    (roles ^ now) & OTHER != 0
}
