//! The exploration of a model, and the report of a state that breaks a property.
//!
//! Owns the words of a trace: one line for each step. Must never end early but at a broken property: a model
//! counts only when all of its states were seen.

use std::fmt::{Debug, Display, Write as _};
use std::hash::Hash;

use stateright::{Checker as _, HasDiscoveries, Model};

/// Threads of an exploration.
const THREADS: usize = 2;

/// The outcome of an exploration.
#[derive(Debug)]
pub struct Explored {
    /// Number of different states.
    pub states: usize,
    /// For each property that some state breaks, its name and the shortest trace to such a state.
    pub broken: Vec<(&'static str, String)>,
}

/// Explores all states of a model.
pub fn explore<M>(model: M) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Display + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + Display + PartialEq + Send + Sync + 'static,
{
    let checked = model.checker().threads(THREADS);
    let checked = checked
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut broken: Vec<(&'static str, String)> = checked
        .discoveries()
        .into_iter()
        .map(|(name, path)| (name, trace(path.into_vec())))
        .collect();
    broken.sort_unstable();
    Explored {
        states: checked.unique_state_count(),
        broken,
    }
}

fn trace<S: Display, A: Display>(steps: Vec<(S, Option<A>)>) -> String {
    let mut text = String::new();
    let mut number = 0;
    for (state, action) in steps {
        let _ = writeln!(text, "      {state}");
        if let Some(action) = action {
            number += 1;
            let _ = writeln!(text, "{number:>3}. {action}");
        }
    }
    text
}

impl Explored {
    /// Fails with the trace of each broken property, and unless exactly `states` states were seen: a model that lost states proves
    /// less than the record says.
    ///
    /// # Panics
    /// A property is broken, or the number of states differs.
    pub fn must_hold(&self, states: usize) {
        let mut report = String::new();
        for (name, trace) in &self.broken {
            let _ = writeln!(report, "\nbroken: {name}\n{trace}");
        }
        assert!(self.broken.is_empty(), "{report}");
        assert_eq!(
            self.states, states,
            "the model has another number of states than on record"
        );
    }
}
