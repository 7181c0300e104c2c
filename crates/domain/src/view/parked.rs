//! Users who wait for the operator.
//!
//! Owns the value. Must never have data of a profile.

use serde::Serialize;
use time::OffsetDateTime;

use super::seconds;

/// A user without attempts until the operator, a change of the profile or the end of a day makes the user due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parked {
    /// Auth0 user id.
    pub user_id: String,
    /// Time since which the user is parked.
    #[serde(serialize_with = "seconds")]
    pub parked_at: OffsetDateTime,
    /// Consecutive failed attempts, including the one that parked the user.
    pub attempts: i32,
    /// The reason given by that attempt.
    pub reason: String,
}

/// A page of them, longest parked first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ParkedPage {
    /// The users.
    pub users: Vec<Parked>,
    /// There are more behind the last one.
    pub more: bool,
}
