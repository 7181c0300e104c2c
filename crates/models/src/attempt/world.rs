//! The steps around the attempts: events, other clients, and the log; those of the operator and of time stand in `operator.rs`.
//!
//! Owns these steps. Must never know which attempt is under way.

use super::action::{Action, Unbrake};
use super::model::Attempts;
use super::operator;
use super::state::{State, take};
use super::tables::Record;
use super::tenant::{EDITOR, Entry, OTHER, Profile, Shape, Writer};

/// The steps that are possible in this state.
pub(super) fn actions(state: &State, actions: &mut Vec<Action>) {
    actions.extend([Action::Cross, Action::CrossTotal, Action::Foreign, Action::ByHand]);
    actions.extend([Action::StaleRead, Action::StaleWrite, Action::Forge]);
    actions.extend([Action::Block, Action::Odd, Action::Expire, Action::Sweep]);
    actions.extend([Action::Pause, Action::Loss, Action::Brake, Action::BrakeGrants]);
    actions.extend([Unbrake::Release, Unbrake::Drop].map(Action::BrakeRemovals));
    actions.extend([Action::Import, Action::PutRules, Action::Hour]);
    if state.left.pins > 0 {
        operator::pins(state, actions);
    }
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
pub(super) fn happen(model: &Attempts, state: &mut State, action: Action) -> Option<()> {
    let (left, tables, tenant) = (&mut state.left, &mut state.tables, &mut state.tenant);
    match action {
        Action::Cross => {
            take(&mut left.crossings)?;
            tables.earned = !tables.earned;
            if !tables.earned && model.has_grace() {
                state.past.fell.get_or_insert(tables.hours);
            }
            tables.enqueue(true, false);
        }
        Action::CrossTotal => {
            take(&mut left.totals)?;
            tables.total = !tables.total;
            tables.enqueue(true, false);
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
                roles: tenant.profile.roles ^ tenant.forged,
                ..tenant.profile
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
            for assigned in tables.assigned.iter_mut().flatten() {
                assigned.fresh = false;
            }
            tables.enqueue(false, true);
        }
        Action::Foreign
        | Action::ByHand
        | Action::StaleRead
        | Action::StaleWrite
        | Action::Block
        | Action::Odd => written(state, action)?,
        other => operator::happen(model, state, other)?,
    }
    Some(())
}

/// Makes a step of another client at the tenant; none if it is not possible.
fn written(state: &mut State, action: Action) -> Option<()> {
    let (left, tenant) = (&mut state.left, &mut state.tenant);
    match action {
        Action::Foreign => {
            take(&mut left.foreign)?;
            tenant.intended = tenant.write(tenant.profile.roles ^ OTHER, Writer::Them).roles & OTHER;
        }
        Action::ByHand => {
            take(&mut left.by_hand)?;
            tenant.write(tenant.profile.roles ^ EDITOR, Writer::Them);
        }
        Action::StaleRead => {
            take(&mut left.stale)?;
            tenant.draft = Some(tenant.profile.roles);
        }
        Action::StaleWrite => {
            let roles = tenant.draft.take()? ^ OTHER;
            tenant.intended = tenant.write(roles, Writer::Them).roles & OTHER;
        }
        Action::Block => {
            take(&mut left.blocks)?;
            let blocked = !tenant.profile.blocked;
            tenant.put(
                Profile {
                    blocked,
                    ..tenant.profile
                },
                Writer::Touch,
            );
        }
        Action::Odd => {
            take(&mut left.odd)?;
            let shape = if tenant.profile.shape == Shape::Odd {
                Shape::List
            } else {
                Shape::Odd
            };
            let profile = Profile {
                shape,
                roles: 0,
                ..tenant.profile
            };
            tenant.put(profile, Writer::Touch);
            tenant.intended = 0;
        }
        _ => return None,
    }
    Some(())
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
    } else if entry.by != Writer::Touch {
        tables.records.push(Record {
            place,
            profile: entry.profile,
            asked: false,
            verdict: None,
        });
    }
    tables.enqueue(false, true);
}
