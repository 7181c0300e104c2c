//! Pins: the operator's word about one role of one user.
//!
//! Owns which pin counts, of those of all ids of a person. Must never let an ended pin count, nor `on` where `off` stands beside it.

use std::cmp::Reverse;

use time::OffsetDateTime;

/// A pin: while it stands, rules and the policy for removals by hand do not decide the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The role.
    pub role: String,
    /// Whether the user holds the role while the pin stands, or does not.
    pub on: bool,
    /// Time at which it ends by itself; `None` for a pin that stays until the operator removes it.
    pub until: Option<OffsetDateTime>,
}

impl Pin {
    /// Whether the pin has ended at `now`.
    #[must_use]
    pub fn has_ended(&self, now: OffsetDateTime) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// The pin that counts for `role` at `now`, of those of all ids of a person. A pin `off` outweighs a pin `on`, and of two of one
/// state the one that ends later counts.
#[must_use]
pub fn counting<'p>(pins: &'p [Pin], role: &str, now: OffsetDateTime) -> Option<&'p Pin> {
    let standing = pins.iter().filter(|pin| pin.role == role && !pin.has_ended(now));
    // a pin without an end is the last one
    standing.min_by_key(|pin| (pin.on, Reverse((pin.until.is_none(), pin.until))))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn pin(on: bool, until: Option<OffsetDateTime>) -> Pin {
        Pin {
            role: "editor".to_owned(),
            on,
            until,
        }
    }

    #[test]
    fn off_outweighs_on_and_an_ended_pin_counts_no_more() {
        let later = Some(NOON + time::Duration::SECOND);
        for (pins, expected) in [
            (vec![], None),
            (vec![pin(true, None)], Some(true)),
            (vec![pin(false, None), pin(true, None)], Some(false)),
            (vec![pin(true, None), pin(false, None)], Some(false)),
            (vec![pin(true, None), pin(false, Some(NOON))], Some(true)),
            (vec![pin(true, None), pin(false, later)], Some(false)),
        ] {
            let counts = counting(&pins, "editor", NOON).map(|pin| pin.on);
            assert_eq!(counts, expected, "{pins:?}");
            assert_eq!(counting(&pins, "curator", NOON), None);
        }
    }

    #[test]
    fn of_two_pins_of_one_state_the_later_end_counts() {
        let (soon, later) = (NOON + time::Duration::SECOND, NOON + time::Duration::DAY);
        for on in [true, false] {
            for (pins, expected) in [
                ([pin(on, Some(soon)), pin(on, Some(later))], Some(later)),
                ([pin(on, Some(later)), pin(on, Some(soon))], Some(later)),
                ([pin(on, Some(soon)), pin(on, None)], None),
                ([pin(on, None), pin(on, Some(soon))], None),
            ] {
                let counts = counting(&pins, "editor", NOON).expect("a pin");
                assert_eq!(counts.until, expected, "{pins:?}");
            }
        }
    }
}
