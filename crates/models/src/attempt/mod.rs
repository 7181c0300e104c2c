//! M2: the attempts of two leaders at one user.
//!
//! Owns the properties of a role. The leader's lock is left out: it only saves work. A frozen worker is one that makes no step for a
//! while, also between its decision and its PATCH. Must never let a write of another client, a record or a response come in the
//! order that suits us.

mod action;
mod claim;
mod clock;
mod decide;
mod model;
mod operator;
mod properties;
pub mod queue;
mod queued;
mod record;
mod removal;
mod right;
mod rows;
mod state;
mod steps;
pub mod tables;
pub mod tenant;
#[cfg(test)]
mod tests;
mod world;

use stateright::{Model, Property};

pub use action::{Action, Patch, Step, Unbrake};
pub use model::Attempts;
pub use state::{Attempt, Claim, Decided, Flaws, Left, Past, Seen, State};
use tables::Tables;
use tenant::{EDITOR, OTHER};

impl Model for Attempts {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let roles = [0, OTHER, EDITOR];
        let first = |roles: u8| State {
            tenant: self.tenant(roles),
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
            other => world::happen(self, &mut next, other)?,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
