//! The decision of an attempt, and its audit, in the order of `src/flow/reconcile/decide.rs` and `race.rs`.
//!
//! Owns what the second transaction reads and writes. Must never decide by itself: evaluation, history, plan, holds and audit are
//! the domain's.

use rolekeeper_domain::audit::{self, Row, Rows, by_profile};
use rolekeeper_domain::brake::Verdict;
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::held::Held;
use rolekeeper_domain::history::take_over::{TakenOver, take_over};
use rolekeeper_domain::history::{History, Judged, Next};
use rolekeeper_domain::merge::Pair;
use rolekeeper_domain::patch;
use rolekeeper_domain::plan::{Plan, RoleChange, SeenRoles, plan};
use rolekeeper_domain::rule::OnExternalRemoval;
use time::OffsetDateTime;

use super::model::{Attempts, again_at};
use super::state::{Attempt, Claim, Decided, Seen, State};
use super::tables::{Change, Write};
use super::tenant::{MANAGED, NAMES, Shape, Writer, set};
use super::{queue, record, removal};

/// The result of looking for races.
#[derive(Default)]
struct Races {
    restored: Option<Vec<String>>,
    since: Option<OffsetDateTime>,
}

/// The plan that the profile and the facts call for.
struct Planned {
    plan: Plan,
    races: Races,
    held: Held,
    suppressed: u8,
}

/// The reason why there is no plan.
enum Unplanned {
    /// The operator has to act on the profile.
    Parked,
    /// A change was not expected.
    Unasked(RoleChange),
}

/// Decides from the facts as they are now. Returns the attempt with its write, if there is one.
pub(super) fn decide(model: &Attempts, state: &mut State, (claim, seen): (Claim, Seen)) -> Attempt {
    let Some(row) = state.tables.still_ours(claim.lease).copied() else {
        return Attempt::Idle;
    };
    state.flaws.unleased |= row.lease
        != Some(queue::Lease {
            id: claim.lease,
            valid: true,
        });
    if row.events != claim.events || row.read {
        // The count oscillates, or a record came meanwhile: the profile is read again.
        state.tables.again(claim.lease);
        return Attempt::Idle;
    }
    let before = state.tables.shown.replace(seen.profile.blocked);
    let mut evaluation = model.evaluation(&mut state.tables, claim.rules);
    state.tables.shown = before;
    evaluation.forbid(&model.forbidden);
    let planned = match planned(model, state, (claim, seen), &mut evaluation) {
        Ok(planned) => planned,
        Err(Unplanned::Parked) => {
            state.tables.park(claim.lease);
            return Attempt::Idle;
        }
        Err(Unplanned::Unasked(change)) => {
            // Its brake is asked, and the profile is read again.
            let mut claim = claim;
            let free = !state.tables.braked[change as usize];
            claim.asked[change as usize] = Some(free);
            claim.free[change as usize] |= free;
            return Attempt::Claimed(claim);
        }
    };
    let changes = keep_audit(state, &evaluation, &seen.profile.shows(), &planned.plan);
    let ends = (row.generation, again_at(&evaluation));
    let (restores, held) = (planned.races.restored.is_some(), planned.held.by());
    let patch = patch::Patch::new(planned.plan, restores, None);
    let Some(roles) = patch.roles().map(set) else {
        record::save(model, state, &evaluation, seen.profile);
        record::finish(&mut state.tables, claim.lease, ends, held);
        return Attempt::Idle;
    };
    let changed = patch.plan().changes();
    record::watch_changes(model, state, &evaluation, (&claim, changed));
    state.flaws.odd |= seen.profile.shape == Shape::Odd;
    let named: Vec<String> = changed.iter().map(|(role, _)| role.clone()).collect();
    let write = note(state, (claim, seen), (roles, set(&named)), planned.races.since);
    Attempt::Decided(
        claim,
        Decided {
            write,
            seen,
            roles,
            changes,
            restores,
            generation: row.generation,
            held,
            doubtful: set(&evaluation.left_open()),
            suppressed: planned.suppressed,
            // Of one write alone, a record that has not come cannot be missed.
            blind: model.left.foreign > 1 && state.tenant.is_ahead(),
            overwrote: false,
        },
    )
}

/// Compares the profile with what the user should hold, and leaves out what is held.
fn planned(
    model: &Attempts,
    state: &mut State,
    (claim, seen): (Claim, Seen),
    evaluation: &mut Evaluation<'_>,
) -> Result<Planned, Unplanned> {
    let races = races(model, state, (claim, seen), evaluation);
    let shown = seen.profile.shows();
    let base = races
        .restored
        .clone()
        .map_or_else(|| shown.clone(), SeenRoles::List);
    removal::removals(state, evaluation, &shown);
    let mut suppressed = 0;
    for (role, manual) in evaluation.externally_removed(&shown) {
        if manual == OnExternalRemoval::Alert {
            state.past.reported = true;
            suppressed |= set(&[role.to_owned()]);
        }
    }
    let full = plan(&base, &evaluation.wants()).map_err(|_| Unplanned::Parked)?;
    let held = Held::of(evaluation, &full, |change| {
        let passes = match claim.asked[change as usize] {
            Some(passes) => passes,
            None if evaluation.engaged.contains(&change) => false,
            None if model.room => true,
            None => return None,
        };
        Some(if passes { Verdict::Pass } else { Verdict::Hold })
    });
    let held = held.map_err(Unplanned::Unasked)?;
    let plan = held.drop_held(full, &base, evaluation);
    Ok(Planned {
        plan,
        races,
        held,
        suppressed,
    })
}

/// Notes a write that is about to be sent. Returns its id.
fn note(
    state: &mut State,
    (claim, seen): (Claim, Seen),
    (roles, managed): (u8, u8),
    since: Option<OffsetDateTime>,
) -> u8 {
    let write = state.tables.id();
    state.tables.writes.push(Write {
        id: write,
        read: seen.profile,
        read_date: seen.date,
        roles,
        wrote: None,
        managed,
        answered: false,
        recorded: false,
        closed: false,
        since,
        lease: claim.lease,
    });
    write
}

/// Finds races, takes over what a stale or unrecorded write caused, and judges what may be restored.
fn races(
    model: &Attempts,
    state: &mut State,
    (claim, seen): (Claim, Seen),
    evaluation: &mut Evaluation<'_>,
) -> Races {
    if seen.profile.shape == Shape::Odd {
        return Races::default();
    }
    if evaluation.unrecorded {
        state.tables.settle(seen.profile, claim.lease);
    }
    let ours = state.tables.ours();
    let unrecorded = ours.iter().any(|(_, ours)| !ours.recorded);
    if !evaluation.foreign_writes && !unrecorded {
        return Races::default();
    }
    let (now, known) = (seen.profile.state(), state.tables.known_races());
    let rules = model.rules(claim.rules).iter();
    let owned: Vec<&str> = rules.map(|rule| rule.role.as_str()).collect();
    let all = state.tables.theirs();
    let confirmed = all.iter().filter(|theirs| theirs.confirmed).cloned().collect();
    let sure = History::new(&ours, all, &known, None);
    let confirmed = History::new(&ours, confirmed, &known, None);
    let resolution = sure.resolve(&owned, &now);
    watch(state, &sure, &resolution.races);
    let TakenOver {
        reverted,
        late,
        recorded,
        ask,
        doubtful,
    } = take_over((&confirmed, unrecorded), (&sure, &resolution), (&owned, &now));
    evaluation.mark_reverted(&reverted);
    for (role, _) in &late {
        record::done_late(model, state, evaluation, (role, now.roles.contains(role)));
    }
    if recorded {
        for write in &mut state.tables.writes {
            write.recorded |= write.wrote.is_some_and(|at| at <= seen.profile.at);
        }
    }
    state.tables.confirm(&ask);
    for role in &doubtful {
        evaluation.doubt(role, now.roles.contains(role));
    }
    let Judged { racing, ask, next } = sure.judge(&resolution, known.overdue, (&owned, &now));
    state.tables.confirm(&ask);
    let pairs = racing.iter().map(|pair| named(&sure, *pair));
    state
        .tables
        .races
        .extend(pairs.filter(|pair| !state.tables.settled.contains(pair)));
    match next {
        Next::Restore(roles) => Races {
            restored: Some(roles.to_vec()),
            since: resolution.since,
        },
        Next::Conclude if resolution.consistent => {
            record::settle_races(&mut state.tables);
            Races::default()
        }
        Next::Conclude if known.overdue => {
            state.tables.given_up = Some(seen.profile.at);
            record::settle_races(&mut state.tables);
            Races::default()
        }
        Next::Conclude | Next::Wait => Races::default(),
    }
}

fn named(history: &History, (ours, theirs): Pair) -> (u8, u8) {
    let write = u8::try_from(history.writes[ours].as_u128()).unwrap_or(u8::MAX);
    (write, history.theirs[theirs].record.parse().unwrap_or(u8::MAX))
}

/// Notes a race with a write of ours, which is no race.
fn watch(state: &mut State, history: &History, races: &[Pair]) {
    for pair in races {
        let (_, place) = named(history, *pair);
        let entry = state.tenant.log.get(usize::from(place));
        state.flaws.false_race |= entry.is_some_and(|entry| matches!(entry.by, Writer::Us(_)));
    }
}

/// Brings the audit in line with the profile and the plan. Returns the rows of the plan's changes.
fn keep_audit(
    state: &mut State,
    evaluation: &Evaluation<'_>,
    shown: &SeenRoles,
    plan: &Plan,
) -> [Option<u8>; 2] {
    let (done, not_done) = by_profile(&evaluation.open, shown);
    let id = |id: uuid::Uuid| u8::try_from(id.as_u128()).unwrap_or(u8::MAX);
    let done: Vec<u8> = done.iter().map(|open| id(open.id)).collect();
    let mut open = state.tables.open.iter();
    let is_untrue = |change: &Change| shown.has(NAMES[usize::from(change.role)]) != change.granted;
    state.flaws.untrue |= open.any(|change| done.contains(&change.id) && is_untrue(change));
    let Rows { of_plan, superseded } = audit::rows(plan, &not_done, true);
    let superseded: Vec<u8> = superseded.into_iter().map(id).collect();
    let mut rows = [None; 2];
    for (row, of) in rows.iter_mut().zip(of_plan) {
        *row = Some(match of {
            Row::Again(again) => id(again),
            Row::New(role, change) => {
                let id = state.tables.id();
                state.tables.open.push(Change {
                    id,
                    role: u8::try_from(MANAGED[record::place(role)]).unwrap_or(u8::MAX),
                    granted: change == RoleChange::Granted,
                });
                id
            }
        });
    }
    let ended = |change: &Change| done.contains(&change.id) || superseded.contains(&change.id);
    state.tables.open.retain(|change| !ended(change));
    rows
}
