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
use time::OffsetDateTime;

use super::model::Attempts;
use super::state::{Attempt, Claim, Decided, Seen, State};
use super::tables::{Change, Tables, Write};
use super::tenant::{EDITOR, NAMES, OTHER, Writer, list, set};
use super::{queue, record};

/// The result of looking for races.
#[derive(Default)]
struct Races {
    restored: Option<Vec<String>>,
    since: Option<OffsetDateTime>,
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
    let mut evaluation = model.evaluation(&state.tables);
    let races = races(state, claim, seen, &mut evaluation);
    let shown = SeenRoles::List(list(seen.profile.roles));
    let base = races
        .restored
        .clone()
        .map_or_else(|| shown.clone(), SeenRoles::List);
    let _ = evaluation.externally_removed(&shown);
    let Ok(full) = plan(&base, &evaluation.wants()) else {
        return Attempt::Idle;
    };
    let held = Held::of(&evaluation, &full, |change| {
        let passes = change == RoleChange::Granted || claim.passes;
        Some(if passes { Verdict::Pass } else { Verdict::Hold })
    });
    let Ok(held) = held else { return Attempt::Idle };
    let plan = held.drop_held(full, &base, &evaluation);
    let change = keep_audit(state, &evaluation, &shown, &plan);
    let restores = races.restored.is_some();
    let patch = patch::Patch::new(plan, restores, None);
    let held = held.by();
    let Some(roles) = patch.roles().map(set) else {
        record::save(state, &evaluation, seen.profile);
        state.tables.finish(claim.lease, row.generation, held);
        return Attempt::Idle;
    };
    let revokes = patch
        .plan()
        .changes()
        .iter()
        .any(|(_, change)| *change == RoleChange::Revoked);
    state.past.granted |= patch
        .plan()
        .changes()
        .iter()
        .any(|(_, change)| *change == RoleChange::Granted);
    state.flaws.held |= revokes && (state.tables.loss || !claim.passes);
    let write = state.tables.id();
    state.tables.writes.push(Write {
        id: write,
        read: seen.profile,
        read_date: seen.date,
        roles,
        wrote: None,
        managed: !patch.plan().is_empty(),
        answered: false,
        recorded: false,
        closed: false,
        since: races.since,
        lease: claim.lease,
    });
    Attempt::Decided(
        claim,
        Decided {
            write,
            seen,
            roles,
            change,
            restores,
            generation: row.generation,
            held,
            doubtful: !evaluation.left_open().is_empty(),
            overwrote: false,
        },
    )
}

/// Finds races, takes over what a stale or unrecorded write caused, and judges what may be restored.
fn races(state: &mut State, claim: Claim, seen: Seen, evaluation: &mut Evaluation<'_>) -> Races {
    if evaluation.unrecorded {
        state.tables.settle(seen.profile, claim.lease);
    }
    let ours = state.tables.ours();
    let unrecorded = ours.iter().any(|(_, ours)| !ours.recorded);
    if !evaluation.foreign_writes && !unrecorded {
        return Races::default();
    }
    let (now, owned, known) = (seen.profile.state(), [NAMES[0]], state.tables.known_races());
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
        record::done_late(state, evaluation, (role, now.roles.contains(role)));
    }
    if recorded {
        for write in &mut state.tables.writes {
            write.recorded |= write.wrote.is_some_and(|at| at <= seen.profile.at);
        }
    }
    confirm(&mut state.tables, &ask);
    for role in &doubtful {
        evaluation.doubt(role, now.roles.contains(role));
    }
    let Judged { racing, ask, next } = sure.judge(&resolution, known.overdue, (&owned, &now));
    confirm(&mut state.tables, &ask);
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

/// Asks Auth0 for these records.
fn confirm(tables: &mut Tables, ask: &[&str]) {
    for record in &mut tables.records {
        record.asked |= ask.contains(&record.place.to_string().as_str()) && record.verdict.is_none();
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

/// Brings the audit in line with the profile and the plan. Returns the row of the plan's change.
fn keep_audit(state: &mut State, evaluation: &Evaluation<'_>, shown: &SeenRoles, plan: &Plan) -> Option<u8> {
    let (done, not_done) = by_profile(&evaluation.open, shown);
    let id = |id: uuid::Uuid| u8::try_from(id.as_u128()).unwrap_or(u8::MAX);
    let done: Vec<u8> = done.iter().map(|open| id(open.id)).collect();
    for change in state
        .tables
        .open
        .iter()
        .filter(|change| done.contains(&change.id))
    {
        state.flaws.untrue |= shown.has(NAMES[0]) != change.granted;
    }
    let Rows { of_plan, superseded } = audit::rows(plan, &not_done, true);
    let superseded: Vec<u8> = superseded.into_iter().map(id).collect();
    let mut row = None;
    for of in of_plan {
        row = Some(match of {
            Row::Again(again) => id(again),
            Row::New(_, change) => {
                let id = state.tables.id();
                let granted = change == RoleChange::Granted;
                state.tables.open.push(Change { id, granted });
                id
            }
        });
    }
    let ended = |change: &Change| done.contains(&change.id) || superseded.contains(&change.id);
    state.tables.open.retain(|change| !ended(change));
    row
}

/// Whether nothing is pending, and a role of another client, or the managed one, is not as it should be.
pub(super) fn is_wrong(state: &State) -> bool {
    let State { tenant, tables, .. } = state;
    let settled = tables.queue.is_none_or(|row| row.held.is_some());
    if !settled || !is_quiet(state) {
        return false;
    }
    let lost = (tenant.profile.roles ^ tenant.intended) & OTHER != 0;
    let given_up = state.past.unseen_loss || tables.given_up.is_some();
    if lost && !given_up {
        return true;
    }
    if tables.queue.is_some() {
        return false;
    }
    let has_role = tenant.profile.roles & EDITOR != 0;
    let unadopted = tables.assigned.is_none_or(|assigned| !assigned.adopted);
    let right = has_role == tables.earned || (has_role && unadopted);
    !right || !tables.open.is_empty()
}

/// Whether no attempt, record, response or confirmation is under way, and the newest profile was read.
fn is_quiet(state: &State) -> bool {
    let State {
        tenant,
        tables,
        attempts,
        ..
    } = state;
    attempts.iter().all(|attempt| *attempt == Attempt::Idle)
        && tenant.log.iter().all(|entry| entry.told)
        && tables.races.is_empty()
        && tables.seen == tenant.profile.at
        && tables
            .records
            .iter()
            .all(|record| !record.asked || record.verdict.is_some())
        && tables
            .writes
            .iter()
            .all(|write| write.wrote.is_some() || write.closed)
}
