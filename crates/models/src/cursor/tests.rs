//! The explorations of M1.

use super::{Cursors, Left};
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
