//! The explorations of M1.

use super::{Cursors, EVENTS, Kind, LIVES, Left, RETRACTIONS, SECOND_LIVES};
use crate::explore::explore;

#[test]
fn two_folds_count_each_event_once() {
    let left = Left {
        events: 4,
        damages: 1,
        rules: 1,
        stale: 0,
        skips: 0,
    };
    explore(Cursors::new(left)).must_hold(1_063_538);
}

#[test]
fn an_operator_beside_two_folds_loses_nothing() {
    let left = Left {
        events: 3,
        damages: 1,
        rules: 0,
        stale: 1,
        skips: 1,
    };
    explore(Cursors::new(left)).must_hold(549_323);
}

/// Two folds of these events, which crash anywhere, in batches of three.
fn folded(kinds: [Kind; EVENTS], states: usize) {
    let left = Left {
        events: 4,
        damages: 0,
        rules: 0,
        stale: 0,
        skips: 0,
    };
    explore(Cursors::new(left).of(kinds, 3)).must_hold(states);
}

#[test]
fn a_play_is_retracted_once() {
    folded(RETRACTIONS, 2_204);
}

#[test]
fn a_playlist_counts_from_its_last_save() {
    folded(LIVES, 2_204);
    folded(SECOND_LIVES, 2_204);
}

/// All of it at once, in `scripts/long.sh`.
#[test]
fn two_folds_and_an_operator_under_changing_rules() {
    if std::env::var_os("LONG_TESTS").is_none() {
        return;
    }
    let left = Left {
        events: 4,
        damages: 1,
        rules: 1,
        stale: 1,
        skips: 1,
    };
    explore(Cursors::new(left)).must_hold(12_660_225);
}
