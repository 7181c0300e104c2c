//! HTTP: the webhook and the data API on the public listener, metrics, health and the console on the ops listener.
//!
//! Owns which route is served on which listener. Must never hold a secret of Auth0, and never report for another stage.

pub mod api;
mod body;
pub mod console;
mod files;
mod listener;
pub mod ops;
mod phase;
mod room;
mod stream;
pub mod webhook;

pub use files::Connections;
pub use listener::serve;
