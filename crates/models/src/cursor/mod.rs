//! M1: two folds of one stream.
//!
//! Owns the properties of the cursor. The lock is left out: it only saves work, and each fold may believe that it holds it. A frozen
//! worker is one that makes no step for a while. Must never bound what a fault may do between two statements.

mod action;
mod events;
mod fold;
pub mod playlist;
mod state;
pub mod store;
pub mod stream;
#[cfg(test)]
mod tests;

use rolekeeper_domain::stream_loss::{Unfolded, unfolded};
use stateright::{Model, Property};

pub use action::{Action, Commit, Step};
pub use events::{EVENTS, Events, Kind, LIVES, PLAYS, RETRACTIONS, SECOND_LIVES, Taken};
pub use state::{Act, Flaws, Fold, Left, State};
use stream::{Damage, Message};

/// The model: what may happen at most, and the events.
#[derive(Clone, Debug)]
pub struct Cursors {
    left: Left,
    events: Events,
    /// Largest batch of a fold.
    batch: usize,
}

/// Largest batch, unless a model has another.
const BATCH: usize = 2;

impl Cursors {
    /// A model in which this may happen.
    #[must_use]
    pub fn new(left: Left) -> Self {
        Self {
            left,
            events: Events::parsed(PLAYS),
            batch: BATCH,
        }
    }

    /// The same with other events, and other batches at most.
    #[must_use]
    pub fn of(self, kinds: [Kind; EVENTS], batch: usize) -> Self {
        Self {
            events: Events::parsed(kinds),
            batch,
            ..self
        }
    }

    fn next(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Publish => {
                let published = self.left.events - state.left.events;
                state.left.events = state.left.events.checked_sub(1)?;
                state.now += 1;
                state.stream.publish(Message {
                    event: published,
                    stored_ns: state.now,
                });
            }
            Action::Lose(damage) => {
                state.left.damages = state.left.damages.checked_sub(1)?;
                state.now += 1;
                state.stream.lose(damage, state.now).then_some(())?;
                if damage.ends_readers() {
                    end_readers(state);
                }
            }
            Action::PutRules => {
                state.left.rules = state.left.rules.checked_sub(1)?;
                state.store.put_rules(state.store.rules + 1);
            }
            Action::AcceptRead => {
                let (kind, from) = (state.store.loss?, state.store.cursor?);
                let first = match unfolded(Some(kind), from.last_seq, from.newest_folded_ns()) {
                    Unfolded::Seq(seq) => state.stream.from(seq).map(|(seq, _)| seq),
                    Unfolded::StoredAfter(ns) => state.stream.stored_after(ns),
                };
                state.act = Some(Act::Accept {
                    from,
                    created_ns: state.stream.created_ns,
                    behind: first.unwrap_or(state.stream.last_seq + 1) - 1,
                });
            }
            Action::SkipRead => {
                state.left.skips = state.left.skips.checked_sub(1)?;
                let from = state.store.cursor.filter(|_| state.store.loss.is_none())?;
                if fold::judge(&from, &state.stream).is_some() {
                    return None;
                }
                let seq = from.last_seq + 1;
                let message = (seq, state.stream.at(seq)?);
                state.act = Some(Act::Skip { from, message });
            }
            Action::Act => match state.act.take()? {
                Act::Accept {
                    from,
                    created_ns,
                    behind,
                } => {
                    state.store.accept_loss(&from, created_ns, behind);
                }
                Act::Skip {
                    from,
                    message: (seq, Message { event, stored_ns }),
                } => {
                    state.store.skip(&from, (seq, stored_ns), event);
                }
            },
            Action::Fold(which, step) => fold::step(state, which, step, &self.events)?,
        }
        Some(())
    }
}

fn end_readers(state: &mut State) {
    for fold in &mut state.folds {
        if let Fold::Reading { alive, .. } | Fold::Attached { alive, .. } = fold {
            *alive = false;
        }
    }
}

impl Model for Cursors {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(self.left)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Publish);
        actions.extend(Damage::ALL.map(Action::Lose));
        actions.push(Action::PutRules);
        if state.act.is_some() {
            actions.push(Action::Act);
        } else {
            actions.extend([Action::AcceptRead, Action::SkipRead]);
        }
        for which in 0..state.folds.len() {
            let mut steps = vec![];
            fold::steps(state, which, self.batch, &mut steps);
            actions.extend(steps.into_iter().map(|step| Action::Fold(which, step)));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.next(&mut next, action)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("each event has an effect at most once", |_, state: &State| {
                let effects = state.store.counted.iter().zip(state.store.letters);
                effects
                    .into_iter()
                    .all(|(counted, letters)| counted + letters <= 1)
            }),
            Property::always(
                "an event that cannot be read is never counted",
                |model: &Self, state: &State| {
                    let illegible = |kind: &Kind| matches!(kind, Kind::Misplaced | Kind::Unknown);
                    let mut counted = model.events.kinds().iter().zip(state.store.counted);
                    counted.all(|(kind, counted)| !illegible(kind) || counted == 0)
                },
            ),
            Property::always(
                "a playlist is the sum of the events that had an effect",
                |model: &Self, state: &State| {
                    playlist::is_the_sum(&state.store.playlist, &model.events, &state.store.counted)
                },
            ),
            Property::always(
                "no fold moves the cursor while a loss stands",
                |_, state: &State| !state.flaws.behind_loss,
            ),
            Property::always(
                "no fold commits under rules that are not in force",
                |_, state: &State| !state.flaws.other_rules,
            ),
            Property::always(
                "no stored message is passed without an effect",
                |_, state: &State| !state.flaws.missed,
            ),
            Property::always("a recorded loss is one", |_, state: &State| {
                !state.flaws.false_loss
            }),
        ]
    }
}
