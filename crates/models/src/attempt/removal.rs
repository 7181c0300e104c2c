//! Removals by hand that the rule respects, in the order of `src/flow/reconcile/removal.rs`.
//!
//! Owns the rows of removals and the pins made of them. Must never judge a removal: the domain does.

use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::SeenRoles;
use rolekeeper_domain::removal::{self, Records, Removal, RemovalState, Verdict};
use time::{Duration, OffsetDateTime};

use super::state::State;
use super::tables::{Pinned, Record, Removed, Tables, Unsettled};
use super::tenant::{EDITOR, Writer, written_at};

/// Allowed difference between Auth0's clock and Postgres'.
const CLOCKS_APART: Duration = Duration::seconds(2);

/// Settles which missing roles were removed by hand.
pub(super) fn removals(state: &mut State, evaluation: &mut Evaluation<'_>, seen: &SeenRoles) {
    if !evaluation.settle_removals(seen).is_empty() {
        state.tables.removal = None;
    }
    for (removal, since) in evaluation.removed_by_hand(seen) {
        if removal.state == RemovalState::Released {
            respect(state, evaluation, removal);
            continue;
        }
        let (records, open) = records(&state.tables, since);
        match removal::judge(records, removal.found_at, evaluation.now()) {
            Verdict::Pin => respect(state, evaluation, removal),
            Verdict::Restore => {
                state.tables.removal = None;
                evaluation.restore_removed(&removal.role);
            }
            Verdict::Wait => {
                let open: Vec<&str> = open.iter().map(String::as_str).collect();
                state.tables.confirm(&open);
                state.tables.removal = Some(Removed::of(&removal));
                evaluation.await_record(removal);
            }
        }
    }
}

/// The records that may report the removal of the role since this time.
fn records(tables: &Tables, since: OffsetDateTime) -> (Records, Vec<String>) {
    let without = |record: &&Record| {
        let after = written_at(record.profile.at) > since - CLOCKS_APART;
        after && record.profile.roles & EDITOR == 0 && record.verdict != Some(false)
    };
    let found: Vec<&Record> = tables.records.iter().filter(without).collect();
    let (confirmed, open): (Vec<&Record>, Vec<&Record>) =
        found.iter().partition(|record| record.verdict.is_some());
    let records = match (confirmed.is_empty(), found.is_empty()) {
        (false, _) => Records::Confirmed,
        (true, false) => Records::Unconfirmed,
        (true, true) => Records::None,
    };
    (
        records,
        open.iter().map(|record| record.place.to_string()).collect(),
    )
}

/// Pins the role off, or holds the removal where the brake demands it.
fn respect(state: &mut State, evaluation: &mut Evaluation<'_>, removal: Removal) {
    let released = removal.state == RemovalState::Released;
    if state.tables.removals_braked && !released {
        let removal = Removal {
            state: RemovalState::Held,
            ..removal
        };
        state.tables.removal = Some(Removed::of(&removal));
        evaluation.hold_removed(removal);
        return;
    }
    let removes = |by: Writer, roles: u8| by == Writer::Them && roles & EDITOR == 0;
    let mut log = state.tenant.log.iter();
    state.flaws.false_pin |= !log.any(|entry| removes(entry.by, entry.profile.roles));
    state.tables.removal = None;
    state.past.adopted |= EDITOR;
    // A pin that stands stays.
    state.tables.pin.get_or_insert(Pinned {
        on: false,
        until: None,
        by_record: true,
    });
    evaluation.pin_off(&removal.role);
}

/// Ends the brake on removals: the operator releases what it holds, or drops it.
pub(super) fn unbrake(tables: &mut Tables, released: bool) {
    let Some(removal) = tables.removal.filter(|removal| removal.state == Unsettled::Held) else {
        return;
    };
    if released {
        tables.removal = Some(Removed {
            state: Unsettled::Released,
            ..removal
        });
    } else {
        tables.removal = None;
        if let Some(assigned) = &mut tables.assigned[0] {
            assigned.suppressed = false;
        }
    }
    tables.enqueue(false, true);
}
