//! The properties of a role, which hold in every state.
//!
//! Owns their names: a mutant names the one that finds it. Must never excuse a state but by what other clients or the operator did.

use stateright::Property;

use super::model::Attempts;
use super::right;
use super::state::State;

/// A fault, and the property that it breaks.
type Named = (&'static str, fn(&Attempts, &State) -> bool);

/// All properties.
pub(super) fn all() -> Vec<Property<Attempts>> {
    let of = |(name, holds): Named| Property::always(name, holds);
    let all: [Named; 16] = [
        (
            "a write changes no role of another client but to restore it",
            |_, state| !state.flaws.foreign,
        ),
        ("no role is revoked that was never ours", |_, state| {
            !state.flaws.unadopted
        }),
        ("no user is claimed while rolekeeper is paused", |_, state| {
            !state.flaws.paused
        }),
        ("no attempt decides without its lease", |_, state| {
            !state.flaws.unleased
        }),
        ("no held change is decided", |_, state| !state.flaws.held),
        ("each completed row of the audit is true", |_, state| {
            !state.flaws.untrue
        }),
        ("a race has a write of another client", |_, state| {
            !state.flaws.false_race
        }),
        ("a failed call ends no work", |_, state| !state.flaws.dropped),
        ("no forbidden role is granted", |_, state| !state.flaws.forbidden),
        ("no role is revoked that its rule keeps", |_, state| {
            !state.flaws.kept
        }),
        ("a role that is left removed is not granted", |_, state| {
            !state.flaws.regranted
        }),
        (
            "a role is pinned off only if another client removed it",
            |_, state| !state.flaws.false_pin,
        ),
        ("no value of another kind is overwritten", |_, state| {
            !state.flaws.odd
        }),
        ("no role changes that no rule names", |_, state| {
            !state.flaws.unnamed
        }),
        ("a change has one open row", |_, state| has_one_row(state)),
        ("when nothing is pending, the profile is right", |model, state| {
            !right::is_wrong(model, state)
        }),
    ];
    all.map(of).into()
}

fn has_one_row(state: &State) -> bool {
    let open = &state.tables.open;
    let same = |one: usize, other: usize| {
        (open[one].role, open[one].granted) == (open[other].role, open[other].granted)
    };
    (0..open.len()).all(|one| (0..one).all(|other| !same(one, other)))
}
