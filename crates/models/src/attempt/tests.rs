//! The explorations of M2.

use super::{Attempts, Left};
use crate::explore::explore;

#[test]
fn a_race_loses_no_role_and_a_forged_record_changes_none() {
    let left = Left {
        crossings: 1,
        foreign: 1,
        forged: 1,
        expiries: 1,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(1_764_422);
}

#[test]
fn what_is_stopped_stays_stopped() {
    let left = Left {
        crossings: 2,
        expiries: 1,
        stops: 2,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(726_957);
}
