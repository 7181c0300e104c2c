//! Removals by hand: another client removed a managed role, and the rule respects that (`manual = "respect"`).
//!
//! Owns when a removal becomes a pin. Must never make one without a record of the tenant's log that Auth0 has confirmed: a
//! forged record, or a role that vanished for another reason, pins nothing.

use std::time::Duration;

use time::OffsetDateTime;

/// How long a missing role waits for the record of its removal, before it is granted again. Records come seconds late, the
/// gap filler's a minute or two.
pub const RECORD_WITHIN: Duration = Duration::from_mins(5);

/// A managed role that an attempt missed, and whose cause is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The role.
    pub role: String,
    /// Time at which it was first missed.
    pub found_at: OffsetDateTime,
    /// Reason why it is not settled.
    pub state: RemovalState,
}

/// The reason why a removal is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalState {
    /// For a confirmed record.
    Waiting,
    /// For the operator, since the brake holds it.
    Held,
    /// For the next attempt, since the operator has released it.
    Released,
}

impl Removal {
    /// Time at which it is no longer waited for a record.
    #[must_use]
    pub fn waits_until(&self) -> Option<OffsetDateTime> {
        let until = self.found_at.checked_add(RECORD_WITHIN.try_into().ok()?)?;
        (self.state == RemovalState::Waiting).then_some(until)
    }
}

/// The records of other clients' writes without the role, since the user held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Auth0 confirmed one.
    Confirmed,
    /// There are some, which Auth0 has not confirmed yet.
    Unconfirmed,
    /// There are none that Auth0 could confirm.
    None,
}

/// Treatment of a missing role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is pinned `off`.
    Pin,
    /// It is neither granted nor pinned yet.
    Wait,
    /// It is granted again.
    Restore,
}

/// Judges a role that was first missed at `found_at`.
#[must_use]
pub fn judge(records: Records, found_at: OffsetDateTime, now: OffsetDateTime) -> Verdict {
    match records {
        Records::Confirmed => Verdict::Pin,
        Records::Unconfirmed => Verdict::Wait,
        Records::None if now - found_at < RECORD_WITHIN => Verdict::Wait,
        Records::None => Verdict::Restore,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn only_a_confirmed_record_pins_and_the_wait_has_an_end() {
        let found = datetime!(2026-11-23 12:00 UTC);
        let later = found + RECORD_WITHIN;
        for (records, at_once, in_the_end) in [
            (Records::Confirmed, Verdict::Pin, Verdict::Pin),
            (Records::Unconfirmed, Verdict::Wait, Verdict::Wait),
            (Records::None, Verdict::Wait, Verdict::Restore),
        ] {
            assert_eq!(judge(records, found, found), at_once, "{records:?}");
            assert_eq!(judge(records, found, later), in_the_end, "{records:?}");
        }
    }
}
