//! The explorations of M2.

use std::time::Duration;

use rolekeeper_domain::rule::{Condition, OnExternalRemoval, Revoke};

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
    explore(Attempts::new(left)).must_hold(1_764_566);
}

#[test]
fn what_is_stopped_stays_stopped() {
    let left = Left {
        crossings: 2,
        expiries: 1,
        stops: 2,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(736_804);
}

#[test]
fn a_role_that_a_client_takes_is_restored() {
    let left = Left {
        crossings: 1,
        by_hand: 2,
        sweeps: 1,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(83_648);
}

#[test]
fn a_removal_that_is_only_reported_stays() {
    let left = Left {
        crossings: 2,
        by_hand: 1,
        ..Left::default()
    };
    let alert = Attempts::new(left).with(|rule| rule.manual = OnExternalRemoval::Alert);
    explore(alert).must_hold(6_635);
}

#[test]
fn a_removal_becomes_a_pin_only_by_a_confirmed_record() {
    let left = Left {
        crossings: 1,
        by_hand: 1,
        forged: 1,
        ..Left::default()
    };
    let respect = Attempts::new(left).with(|rule| rule.manual = OnExternalRemoval::Respect);
    explore(respect.with_forged_removals()).must_hold(8_620);
}

#[test]
fn a_removal_without_a_record_is_undone() {
    let left = Left {
        crossings: 1,
        by_hand: 1,
        hours: 1,
        ..Left::default()
    };
    let respect = Attempts::new(left).with(|rule| rule.manual = OnExternalRemoval::Respect);
    explore(respect).must_hold(78_313);
}

#[test]
fn a_held_removal_waits_for_the_operator() {
    let left = Left {
        by_hand: 1,
        crossings: 1,
        removal_stops: 2,
        expiries: 1,
        ..Left::default()
    };
    let respect = Attempts::new(left).with(|rule| rule.manual = OnExternalRemoval::Respect);
    explore(respect).must_hold(286_812);
}

#[test]
fn a_condition_that_does_not_hold_gives_no_role() {
    let left = Left {
        crossings: 1,
        blocks: 2,
        failures: 1,
        ..Left::default()
    };
    let conditions = Attempts::new(left).with(|rule| rule.only_if = vec![Condition::NotBlocked]);
    explore(conditions).must_hold(180_156);
}

#[test]
fn a_rule_that_never_revokes_keeps_its_role() {
    let left = Left {
        crossings: 2,
        blocks: 1,
        failures: 1,
        ..Left::default()
    };
    let never = Attempts::new(left).with(|rule| {
        rule.revoke = Revoke::Never;
        rule.only_if = vec![Condition::NotBlocked];
    });
    explore(never).must_hold(9_929);
}

#[test]
fn a_role_is_kept_for_its_grace() {
    let left = Left {
        crossings: 2,
        hours: 2,
        ..Left::default()
    };
    let grace = Attempts::new(left).with(|rule| rule.grace = Duration::from_hours(1));
    explore(grace).must_hold(310_134);
}

#[test]
fn a_pin_outweighs_the_rule_until_it_ends() {
    let left = Left {
        crossings: 1,
        pins: 2,
        hours: 1,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(1_267_292);
}

#[test]
fn a_pin_outweighs_brake_and_loss() {
    let left = Left {
        crossings: 1,
        pins: 1,
        stops: 2,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(8_336);
}

#[test]
fn a_forbidden_role_is_never_granted() {
    let left = Left {
        crossings: 2,
        by_hand: 1,
        failures: 1,
        expiries: 1,
        ..Left::default()
    };
    explore(Attempts::new(left).forbidden()).must_hold(421_492);
}

#[test]
fn an_import_holds_every_change() {
    let left = Left {
        crossings: 2,
        imports: 2,
        expiries: 1,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(376_718);
}

#[test]
fn two_roles_have_two_brakes() {
    let left = Left {
        crossings: 1,
        totals: 1,
        brakes: 3,
        ..Left::default()
    };
    explore(Attempts::new(left).with_curators().without_room()).must_hold(18_221);
}

#[test]
fn a_role_that_rules_no_longer_name_stays_as_it_is() {
    let left = Left {
        totals: 1,
        foreign: 1,
        rules: 1,
        expiries: 1,
        ..Left::default()
    };
    explore(Attempts::new(left).with_curators().then_without_curators()).must_hold(520_374);
}

#[test]
fn a_value_that_is_no_list_is_left_for_the_operator() {
    let left = Left {
        crossings: 2,
        odd: 2,
        failures: 1,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(541_336);
}

#[test]
fn a_write_of_an_old_read_reverts_no_role() {
    let left = Left {
        crossings: 1,
        stale: 1,
        expiries: 1,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(224_462);
}

#[test]
fn races_that_no_record_explains_end() {
    let left = Left {
        crossings: 1,
        foreign: 2,
        sweeps: 1,
        ..Left::default()
    };
    explore(Attempts::new(left)).must_hold(72_708);
}
