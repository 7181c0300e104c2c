//! Whether a state in which nothing is pending is the right one.
//!
//! Owns what the user should hold, by the counts, the rules, the pin and what other clients did. Must never use what an attempt decided
//! but for whose role it is.

use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::rule::{Measure, OnExternalRemoval, Revoke, Rule};

use super::model::Attempts;
use super::record;
use super::state::{Attempt, State};
use super::tables::{Tables, Unsettled};
use super::tenant::{OTHER, Shape, set};

/// Whether nothing is pending, and a role of another client, or a managed one, is not as it should be.
pub(super) fn is_wrong(model: &Attempts, state: &State) -> bool {
    let State { tenant, tables, .. } = state;
    let rests = |row: &super::queue::Queued| row.held.is_some() || row.waits(tables.hours);
    if !tables.queue.as_ref().is_none_or(rests) || !is_quiet(state) {
        return false;
    }
    if tables.queue.is_some_and(|row| row.parked) {
        return tenant.profile.shape != Shape::Odd;
    }
    let lost = (tenant.profile.roles ^ tenant.intended) & OTHER != 0;
    let given_up = state.past.unseen_loss || tables.given_up.is_some();
    if lost && !given_up {
        return true;
    }
    let is_held = tables.queue.is_some_and(|row| row.held.is_some());
    if !is_held && !tables.open.is_empty() {
        return true;
    }
    let rules = model.rules(tables.rules).iter();
    let mut wrong = rules.filter(|rule| !is_right(model, state, rule));
    wrong.any(|rule| !(is_held && covers(tables, tenant.profile.roles, rule)))
}

/// Whether a loss, an import or a brake that stands holds the change that the role needs.
fn covers(tables: &Tables, roles: u8, rule: &Rule) -> bool {
    let has_role = roles & bit(rule) != 0;
    let change = RoleChange::to(!has_role);
    let stands =
        tables.importing || (tables.loss && change == RoleChange::Revoked) || tables.braked[change as usize];
    stands && !is_pinned(tables, rule)
}

/// Whether the profile has the role, or lacks it, as it should.
fn is_right(model: &Attempts, state: &State, rule: &Rule) -> bool {
    let State { tenant, tables, .. } = state;
    let has_role = tenant.profile.roles & bit(rule) != 0;
    if let Some(pin) = tables.pin.filter(|_| is_pinned(tables, rule)) {
        return has_role == pin.on;
    }
    let earned = match rule.of {
        Measure::BestPlaylist => tables.earned,
        Measure::AllPlaylists => tables.total,
    };
    let met = rule.only_if.is_empty() || !tenant.profile.blocked;
    let waits = tables.queue.is_some_and(|row| row.waits(tables.hours));
    match (earned && met, has_role) {
        (true, true) | (false, false) => true,
        (false, true) => {
            let unadopted =
                tables.assigned[record::place(&rule.role)].is_none_or(|assigned| !assigned.adopted);
            unadopted || rule.revoke == Revoke::Never || (met && waits && !rule.grace.is_zero())
        }
        (true, false) if model.forbidden.has(&rule.role) => true,
        (true, false) => match rule.manual {
            OnExternalRemoval::Restore => false,
            OnExternalRemoval::Alert => state.past.reported,
            OnExternalRemoval::Respect => tables.removal.is_some_and(|removal| match removal.state {
                Unsettled::Waiting => waits,
                Unsettled::Held => tables.removals_braked,
                Unsettled::Released => false,
            }),
        },
    }
}

fn bit(rule: &Rule) -> u8 {
    set(std::slice::from_ref(&rule.role))
}

fn is_pinned(tables: &Tables, rule: &Rule) -> bool {
    let standing = tables
        .pin
        .filter(|pin| pin.until.is_none_or(|until| until > tables.hours));
    standing.is_some() && record::place(&rule.role) == 0
}

/// Whether no attempt, record, response or confirmation is under way, and the newest profile was read.
fn is_quiet(state: &State) -> bool {
    let State {
        tenant,
        tables,
        attempts,
        ..
    } = state;
    let read = tables.seen == tenant.profile.at || tables.queue.is_some_and(|row| row.parked);
    attempts.iter().all(|attempt| *attempt == Attempt::Idle)
        && tenant.log.iter().all(|entry| entry.told)
        && tables.races.is_empty()
        && read
        && tables
            .records
            .iter()
            .all(|record| !record.asked || record.verdict.is_some())
        && tables
            .writes
            .iter()
            .all(|write| write.wrote.is_some() || write.closed)
}
