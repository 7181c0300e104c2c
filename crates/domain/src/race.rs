//! The outcome of a race: another client wrote roles between our read and our write.
//!
//! Owns the outcomes and their texts in the table and in the metric, and how long a record is awaited. Must never resolve
//! a race, which `merge` does.

use std::time::Duration;

/// How long a record that explains the profile's state is awaited. Records come seconds late.
pub const MAX_RECORD_WAIT: Duration = Duration::from_mins(5);

/// Outcome of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaceOutcome {
    /// The other client's change was restored.
    Merged,
    /// The profile already is as the other client intended.
    NothingLost,
    /// No record explains the profile: left to the operator.
    Unresolved,
    /// Auth0 did not confirm the record: nothing was written.
    Unconfirmed,
    /// The operator dropped it from the brake.
    Dropped,
}

impl RaceOutcome {
    /// Every outcome: the label values of the metric.
    pub const ALL: [Self; 5] = [
        Self::Merged,
        Self::NothingLost,
        Self::Unresolved,
        Self::Unconfirmed,
        Self::Dropped,
    ];

    /// The value in the table and in the metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::NothingLost => "nothing_lost",
            Self::Unresolved => "unresolved",
            Self::Unconfirmed => "unconfirmed",
            Self::Dropped => "dropped",
        }
    }
}
