//! The rows of one role beside its open changes: the assignment, the pin, and the removal by hand.
//!
//! Owns their columns. Must never say how they change.

use rolekeeper_domain::evaluation::Seen;
use rolekeeper_domain::pin::Pin;
use rolekeeper_domain::removal::{Removal, RemovalState};
use rolekeeper_domain::snapshot::Assignment;

use super::clock::{clock, hour};
use super::tenant::{NAMES, written_at};

/// The row of a managed role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the columns of a row, each on its own"
)]
pub struct Assigned {
    /// The last decision of the rules.
    pub wanted: bool,
    /// The profile had the role when last read or written.
    pub has_role: bool,
    /// Rolekeeper may revoke it.
    pub adopted: bool,
    /// It was verified recently.
    pub fresh: bool,
    /// Another client removed it, and it is left so.
    pub suppressed: bool,
    /// The hour since which the user has been below the threshold while the role is kept.
    pub below_since: Option<u8>,
    /// Number of the tenant's writes at the last change of `has_role`; 0 where no decision compares it.
    pub since: u8,
}

impl Assigned {
    /// The row after an attempt has seen this state, with the former row of the role.
    #[must_use]
    pub fn seen(before: Option<Self>, seen: Seen<'_>, writes: u8) -> Self {
        let same = before.filter(|before| before.has_role == seen.has_role);
        Self {
            wanted: seen.wanted,
            has_role: seen.has_role,
            adopted: seen.adopted,
            fresh: true,
            suppressed: seen.suppressed,
            below_since: seen.below_since.map(hour),
            since: same.map_or(writes, |before| before.since),
        }
    }

    /// The same as the domain takes it.
    #[must_use]
    pub fn row(self, role: usize) -> Assignment {
        Assignment {
            role: NAMES[role].to_owned(),
            wanted: self.wanted,
            has_role: self.has_role,
            adopted: self.adopted,
            since: written_at(self.since),
            below_since: self.below_since.map(clock),
            suppressed: self.suppressed,
            fresh: self.fresh,
        }
    }
}

/// The pin of the first managed role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pinned {
    /// The user holds the role while the pin stands.
    pub on: bool,
    /// The hour at which it ends by itself.
    pub until: Option<u8>,
    /// An attempt made it, for a removal by hand.
    pub by_record: bool,
}

impl Pinned {
    /// The same as the domain takes it.
    #[must_use]
    pub fn row(self) -> Pin {
        Pin {
            role: NAMES[0].to_owned(),
            on: self.on,
            until: self.until.map(clock),
        }
    }
}

/// The reason why a removal is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unsettled {
    /// It waits for a record.
    Waiting,
    /// The brake holds it.
    Held,
    /// The operator has released it.
    Released,
}

/// A removal by hand of the first managed role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Removed {
    /// The hour at which the role was first missed.
    pub found: u8,
    /// Why it is not settled.
    pub state: Unsettled,
}

impl Removed {
    /// The same as the domain takes it.
    #[must_use]
    pub fn row(self) -> Removal {
        Removal {
            role: NAMES[0].to_owned(),
            found_at: clock(self.found),
            state: match self.state {
                Unsettled::Waiting => RemovalState::Waiting,
                Unsettled::Held => RemovalState::Held,
                Unsettled::Released => RemovalState::Released,
            },
        }
    }

    /// The row of a removal.
    #[must_use]
    pub fn of(removal: &Removal) -> Self {
        Self {
            found: hour(removal.found_at),
            state: match removal.state {
                RemovalState::Waiting => Unsettled::Waiting,
                RemovalState::Held => Unsettled::Held,
                RemovalState::Released => Unsettled::Released,
            },
        }
    }
}
