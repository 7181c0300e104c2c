//! The row of the work queue: one user's.
//!
//! Owns its columns. Must never say how they change.

use rolekeeper_domain::held::HeldBy;

/// The lease of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Its id.
    pub id: u8,
    /// It has not expired.
    pub valid: bool,
}

/// The row of the work queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Queued {
    /// Raised with each enqueueing.
    pub generation: u8,
    /// Number of events that enqueued the user.
    pub events: u8,
    /// The profile must be read.
    pub read: bool,
    /// The lease of the attempt in flight.
    pub lease: Option<Lease>,
    /// The user waits for the operator.
    pub held: Option<HeldBy>,
    /// The user waits for the operator, who has to correct the profile.
    pub parked: bool,
    /// The row is a timer: the user is due at this hour.
    pub timer: Option<u8>,
}

impl Queued {
    /// Whether the row is not due: it is parked, or a timer.
    #[must_use]
    pub fn waits(&self, hours: u8) -> bool {
        self.parked || self.timer.is_some_and(|at| at > hours)
    }
}
