//! Sample traffic: who there is, what they do, and what must come of it.
//!
//! Owns a cast of users and playlists, a script of what happens to them, the ways in (stream, webhook), a
//! reference count of what was published, and readers of what others kept of it. The same seed gives the same
//! traffic. Must never ask the worker whether it was right: [`tally`] counts by itself, from what was sent.

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

/// The role that plays earn.
pub const ROLE: &str = "playlist_editor";
/// Plays of one playlist that earn it.
pub const LINE: i64 = 100;
