//! The steps of one leader, in the order of `src/flow/reconcile/steps.rs`.
//!
//! Owns read and write. Must never send a write that was not decided.

use rolekeeper_domain::schedule::{Ended, Next, next};
use std::time::Duration;

use super::action::{Patch, Step};
use super::model::Attempts;
use super::state::{Attempt, Claim, Decided, Seen, State};
use super::tenant::{Entry, OTHER, Writer, set};
use super::{claim, decide, record};

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
        (Step::Claim, Attempt::Idle) => claim::claim(model, state)?,
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
        (Step::Patch(outcome), Attempt::Decided(claim, decided)) => {
            patch(model, state, outcome, (claim, decided))?
        }
        (Step::Record, Attempt::Written(claim, decided, after)) => {
            record::record(model, state, (claim, decided, after));
            Attempt::Idle
        }
        _ => return None,
    };
    Some(())
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
fn patch(
    model: &Attempts,
    state: &mut State,
    outcome: Patch,
    (claim, mut decided): (Claim, Decided),
) -> Option<Attempt> {
    if outcome != Patch::Answered {
        state.left.failures = state.left.failures.checked_sub(1)?;
    }
    if matches!(outcome, Patch::Answered | Patch::AnswerLost) {
        decided.overwrote = watch(model, state, (&claim, &decided));
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
fn watch(model: &Attempts, state: &mut State, (claim, decided): (&Claim, &Decided)) -> bool {
    let Decided { seen, roles, .. } = *decided;
    let (read, now) = (seen.profile.roles, state.tenant.profile.roles);
    let since = |entry: &&Entry| entry.profile.at > seen.profile.at && entry.by == Writer::Touch;
    state.flaws.foreign |= (roles ^ read) & OTHER != 0 && roles & OTHER != seen.intended && !decided.blind;
    let revoked = read & !roles & !OTHER;
    state.flaws.unadopted |= revoked & !(state.past.granted | state.past.adopted) != 0;
    let of_rules = model.rules(claim.rules).iter().map(|rule| rule.role.clone());
    let named = set(&of_rules.collect::<Vec<String>>()) | OTHER;
    state.flaws.unnamed |= (roles ^ read) & !named != 0;
    // A value that is no list cannot be restored.
    let odd = model.left.odd > 0 && state.tenant.log.iter().filter(since).count() > 0;
    state.past.unseen_loss |= odd;
    (roles ^ now) & OTHER != 0
}
