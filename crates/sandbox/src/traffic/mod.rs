//! Sample traffic: users, their acts, and the expected results.
//!
//! Owns a cast of users and playlists, a script of their acts, the inputs (stream, webhook), a reference count of the published
//! events, and readers of the stored results. The same seed gives the same traffic. Must never rely on the worker's count:
//! [`tally`] counts independently, from the sent events.

pub mod app;
pub mod cast;
pub mod database;
pub mod event;
pub mod http;
pub mod log_file;
pub mod management;
pub mod others;
pub mod publish;
pub mod rest;
pub mod script;
pub mod stream;
pub mod tally;

/// The role that the rule grants for plays.
pub const ROLE: &str = "playlist_editor";
/// The threshold: plays of one playlist for the role.
pub const THRESHOLD: i64 = 100;
