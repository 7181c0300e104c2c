//! The subjects of the streams.
//!
//! Owns the prefix of each kind of message; the part of the subject behind it belongs to the message.

/// Subject prefix of plays and retractions; the id of the playlist follows.
pub const PLAYS: &str = "plays.";
/// Subject prefix of playlists saved and deleted; the id of the playlist follows.
pub const PLAYLISTS: &str = "playlists.";
/// Subject prefix of records of the tenant's log; the kind of the record follows.
pub const AUTH0_LOGS: &str = "auth0.logs.";
/// Subject prefix of announced role changes; the role and the change follow.
pub const ROLE_CHANGES: &str = "roles.";
