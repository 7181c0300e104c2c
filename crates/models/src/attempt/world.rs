//! The steps around the attempts: events, other clients, the log, time and the operator.
//!
//! Owns these steps. Must never know which attempt is under way.

use super::action::Action;
use super::state::State;
use super::tables::Record;
use super::tenant::{EDITOR, Entry, OTHER, Profile, Writer};

/// The steps that are possible in this state.
pub(super) fn actions(state: &State, actions: &mut Vec<Action>) {
    actions.extend([Action::Cross, Action::Foreign, Action::ByHand, Action::Forge]);
    actions.extend([
        Action::Expire,
        Action::Sweep,
        Action::Pause,
        Action::Loss,
        Action::Brake,
    ]);
    let places = (0..).zip(&state.tenant.log);
    let untold = places.filter(|(_, entry)| !entry.told);
    actions.extend(untold.map(|(place, _)| Action::Record(place)));
    let open = state
        .tables
        .records
        .iter()
        .filter(|record| record.asked && record.verdict.is_none());
    actions.extend(open.map(|record| Action::Confirm(record.place)));
}

/// Makes one of these steps; none if it is not possible.
pub(super) fn happen(state: &mut State, action: Action) -> Option<()> {
    let (left, tables, tenant) = (&mut state.left, &mut state.tables, &mut state.tenant);
    match action {
        Action::Cross => {
            take(&mut left.crossings)?;
            tables.earned = !tables.earned;
            tables.enqueue(true, false);
        }
        Action::Foreign => {
            take(&mut left.foreign)?;
            tenant.intended = tenant.write(tenant.profile.roles ^ OTHER, Writer::Them).roles & OTHER;
        }
        Action::ByHand => {
            take(&mut left.by_hand)?;
            tenant.write(tenant.profile.roles ^ EDITOR, Writer::Them);
        }
        Action::Record(place) => {
            let entry = tenant.log.get_mut(usize::from(place))?;
            entry.told = true;
            let entry = *entry;
            told(state, place, entry);
        }
        Action::Forge => {
            take(&mut left.forged)?;
            let profile = Profile {
                at: tenant.profile.at,
                roles: tenant.profile.roles ^ OTHER,
            };
            let place = u8::try_from(tenant.log.len()).ok()?;
            let entry = Entry {
                by: Writer::Forged,
                profile,
                told: true,
            };
            tenant.log.push(entry);
            told(state, place, entry);
        }
        Action::Confirm(place) => {
            let real = tenant.log.get(usize::from(place))?.by == Writer::Them;
            let record = tables.records.iter_mut().find(|record| record.place == place)?;
            record.verdict = Some(real);
            tables.enqueue(false, true);
        }
        Action::Expire => {
            let lease = tables
                .queue
                .as_mut()?
                .lease
                .as_mut()
                .filter(|lease| lease.valid)?;
            take(&mut left.expiries)?;
            lease.valid = false;
        }
        Action::Sweep => {
            take(&mut left.sweeps)?;
            tables.overdue = true;
            if let Some(assigned) = &mut tables.assigned {
                assigned.fresh = false;
            }
            tables.enqueue(false, true);
        }
        Action::Pause => {
            take(&mut left.stops)?;
            tables.paused = !tables.paused;
        }
        Action::Loss => {
            take(&mut left.stops)?;
            tables.loss = !tables.loss;
            release(state);
        }
        Action::Brake => {
            take(&mut left.stops)?;
            tables.braked = !tables.braked;
            release(state);
        }
        Action::Leader(..) => return None,
    }
    Some(())
}

fn take(left: &mut u8) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

/// Makes a held user due again.
fn release(state: &mut State) {
    if let Some(row) = &mut state.tables.queue
        && row.held.take().is_some()
    {
        row.read = true;
    }
}

/// A record arrives: an echo of a completed write is dropped, all others enqueue the user.
fn told(state: &mut State, place: u8, entry: Entry) {
    let tables = &mut state.tables;
    if let Writer::Us(id) = entry.by {
        let mut writes = tables.writes.iter_mut();
        let Some(write) = writes
            .find(|write| write.id == id)
            .filter(|write| !write.answered)
        else {
            return;
        };
        // It was applied, whatever an attempt assumed.
        write.recorded &= write.wrote.is_some_and(|wrote| entry.profile.at <= wrote);
        write.wrote = Some(entry.profile.at);
        write.closed = false;
    } else {
        tables.records.push(Record {
            place,
            profile: entry.profile,
            asked: false,
            verdict: None,
        });
    }
    tables.enqueue(false, true);
}
