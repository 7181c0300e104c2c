//! The states of a profile and their origin, as values.
//!
//! Owns what is known of each write. Must never decide which write caused a state.

use time::OffsetDateTime;

use super::lists::Split;
use super::window::Window;

/// The roles of one user at one time of the tenant's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// `updated_at` of the profile.
    pub at: OffsetDateTime,
    /// `app_metadata.roles`; a missing value counts as an empty list.
    pub roles: Vec<String>,
}

/// A write of ours that Auth0 is known to have applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurWrite {
    /// The profile as read before the write was planned.
    pub read: State,
    /// The profile after the write.
    pub wrote: State,
    /// Roles that the write granted or revoked because the rules of that time managed them. These were no changes to
    /// entries of other clients, even if the current rules differ.
    pub managed: Vec<String>,
    /// Start of the writes considered, if this write restored or removed entries of other clients.
    pub resolved_since: Option<OffsetDateTime>,
    /// Whether an attempt recorded the resulting managed roles. False if the attempt had lost its lease when the write
    /// was done.
    pub recorded: bool,
    /// Time range in which this write may have overwritten another client's write, by Auth0's own responses. `None` if
    /// they do not tell it; then nothing is restored because of this write.
    pub window: Option<Window>,
}

/// One state of the profile.
pub(super) struct Version<'a> {
    pub(super) at: OffsetDateTime,
    pub(super) roles: &'a [String],
    pub(super) split: Split<'a>,
    /// The entries of other clients as they would be here if our writes had touched only managed roles.
    pub(super) intended: Vec<&'a str>,
    pub(super) by: By,
}

/// Origin of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Our write with this index.
    Us(usize),
    /// Another client wrote it, based on the version with this index; `None` if no earlier version is known.
    Them(Option<usize>),
    /// No record of the write has arrived.
    Nobody,
}
