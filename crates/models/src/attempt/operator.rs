//! The steps of the operator and of time.
//!
//! Owns what they change in the tables. Must never end what another brake, loss or import holds.

use rolekeeper_domain::held::HeldBy;
use rolekeeper_domain::plan::RoleChange;

use super::action::{Action, Unbrake};
use super::model::Attempts;
use super::removal;
use super::state::{State, take};
use super::tables::{Pinned, Tables};
use super::tenant::EDITOR;

/// The pins that the operator may make or remove now.
pub(super) fn pins(state: &State, actions: &mut Vec<Action>) {
    let pin = |on: bool, until: Option<u8>| {
        Action::Pin(Pinned {
            on,
            until,
            by_record: false,
        })
    };
    match state.tables.pin {
        Some(_) => actions.push(Action::Unpin),
        None => actions.extend([pin(true, None), pin(false, None)]),
    }
    if state.left.hours > 0 {
        let ends = Some(state.tables.hours + 1);
        actions.extend([pin(true, ends), pin(false, ends)]);
    }
}

/// Makes one of these steps; none if it is not possible.
pub(super) fn happen(model: &Attempts, state: &mut State, action: Action) -> Option<()> {
    let (left, tables) = (&mut state.left, &mut state.tables);
    match action {
        Action::Pause => {
            take(&mut left.stops)?;
            tables.paused = !tables.paused;
        }
        Action::Loss => {
            take(&mut left.stops)?;
            tables.loss = !tables.loss;
            release(tables, !tables.loss, |by| by == HeldBy::StreamLoss);
        }
        Action::Brake => {
            take(&mut left.stops).or_else(|| take(&mut left.brakes))?;
            brake(tables, RoleChange::Revoked);
        }
        Action::BrakeGrants => {
            take(&mut left.brakes)?;
            brake(tables, RoleChange::Granted);
        }
        Action::BrakeRemovals(way) => {
            take(&mut left.removal_stops)?;
            let released = way == Unbrake::Release;
            if !released && !tables.removals_braked {
                return None;
            }
            tables.removals_braked = !tables.removals_braked;
            if !tables.removals_braked {
                removal::unbrake(tables, released);
            }
        }
        Action::Pin(pin) => {
            take(&mut left.pins)?;
            // A pin `off` is removed before a pin `on`.
            let replaces = tables.pin.is_none_or(|stands| stands.on || !pin.on);
            replaces.then_some(())?;
            tables.pin = Some(pin);
            tables.enqueue(false, true);
            // The operator's word makes the role ours.
            state.past.adopted |= if pin.on { 0 } else { EDITOR };
        }
        Action::Unpin => {
            take(&mut left.pins)?;
            tables.pin.take()?;
            tables.enqueue(false, true);
        }
        Action::Import => {
            take(&mut left.imports)?;
            tables.importing = !tables.importing;
            release(tables, !tables.importing, |by| by == HeldBy::Import);
        }
        Action::PutRules => {
            take(&mut left.rules)?;
            model.has_rules(tables.rules + 1).then_some(())?;
            tables.rules += 1;
            tables.enqueue(false, true);
        }
        Action::Hour => {
            take(&mut left.hours)?;
            tables.hours += 1;
            let hours = tables.hours;
            if let Some(row) = &mut tables.queue {
                if let Some(lease) = &mut row.lease {
                    lease.valid = false;
                }
                // A decision of a held user changes by time too.
                row.held = row.held.filter(|_| row.timer.is_none_or(|at| at > hours));
            }
        }
        _ => return None,
    }
    Some(())
}

/// Engages a brake, or releases it.
fn brake(tables: &mut Tables, change: RoleChange) {
    let engaged = &mut tables.braked[change as usize];
    *engaged = !*engaged;
    let ends = !*engaged;
    release(tables, ends, |by| {
        by == HeldBy::Brake(change) || by == HeldBy::BothBrakes
    });
}

/// Makes a user due again who was held by what ends.
fn release(tables: &mut Tables, ends: bool, by: impl Fn(HeldBy) -> bool) {
    if let Some(row) = &mut tables.queue
        && ends
        && row.held.is_some_and(by)
    {
        (row.held, row.read) = (None, true);
    }
}
