//! M2: the attempts of two leaders at one user.
//!
//! Owns the properties of a role. The leader's lock is left out: it only saves work. A frozen worker is one that makes no step for a
//! while, also between its decision and its PATCH. Must never let a write of another client, a record or a response come in the
//! order that suits us.

mod action;
mod decide;
mod model;
pub mod queue;
mod queued;
mod record;
mod state;
mod steps;
pub mod tables;
pub mod tenant;
#[cfg(test)]
mod tests;
mod world;

use stateright::{Model, Property};

pub use action::{Action, Patch, Step};
pub use model::Attempts;
pub use state::{Attempt, Claim, Decided, Flaws, Left, Past, Seen, State};
use tables::Tables;
use tenant::{EDITOR, OTHER, Tenant};

impl Model for Attempts {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let roles = [0, OTHER, EDITOR];
        let first = |roles: u8| State {
            tenant: Tenant::new(roles),
            tables: Tables::default(),
            attempts: [Attempt::Idle; 2],
            left: self.left,
            flaws: Flaws::default(),
            past: Past::default(),
        };
        roles.into_iter().map(first).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        world::actions(state, actions);
        for which in 0..state.attempts.len() {
            let mut steps = vec![];
            steps::steps(state, which, &mut steps);
            actions.extend(steps.into_iter().map(|step| Action::Leader(which, step)));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Leader(which, step) => steps::step(self, &mut next, which, step)?,
            other => world::happen(&mut next, other)?,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "a write changes no role of another client but to restore it",
                |_, state: &State| !state.flaws.foreign,
            ),
            Property::always("no role is revoked that was never ours", |_, state: &State| {
                !state.flaws.unadopted
            }),
            Property::always(
                "no user is claimed while rolekeeper is paused",
                |_, state: &State| !state.flaws.paused,
            ),
            Property::always("no attempt decides without its lease", |_, state: &State| {
                !state.flaws.unleased
            }),
            Property::always("no held revoke is decided", |_, state: &State| !state.flaws.held),
            Property::always("each completed row of the audit is true", |_, state: &State| {
                !state.flaws.untrue
            }),
            Property::always("a race has a write of another client", |_, state: &State| {
                !state.flaws.false_race
            }),
            Property::always("a failed call ends no work", |_, state: &State| {
                !state.flaws.dropped
            }),
            Property::always("a change has one open row", |_, state: &State| {
                let open = |granted: bool| {
                    state
                        .tables
                        .open
                        .iter()
                        .filter(|change| change.granted == granted)
                        .count()
                };
                open(true) <= 1 && open(false) <= 1
            }),
            Property::always(
                "when nothing is pending, the profile is right",
                |_, state: &State| !decide::is_wrong(state),
            ),
        ]
    }
}
