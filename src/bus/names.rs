//! The names of the streams.
//!
//! Owns which streams there are, and which of them are folded.

/// Plays and playlists, published by app servers.
pub const APP_EVENTS: &str = "APP_EVENTS";
/// Records of the tenant's log, as Auth0's log stream sent them.
pub const AUTH0_LOGS: &str = "AUTH0_LOGS";
/// Announced role changes.
pub const ROLE_CHANGES: &str = "ROLE_CHANGES";
/// Streams that are folded.
pub const STREAMS: [&str; 2] = [APP_EVENTS, AUTH0_LOGS];
