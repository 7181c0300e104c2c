//! Rolekeeper keeps roles in Auth0 in step with what users do.
//!
//! ```text
//!  Auth0 log stream ─▶ accept ─▶ AUTH0_LOGS ─┐
//!  app servers ───────────────▶ APP_EVENTS ──┴▶ fold ─▶ Postgres ─▶ reconcile ─▶ Auth0 Management API
//!                                                   facts, cursor,   │   ▲
//!                                                   work queue       │   └─ sweep (a timer enqueues users)
//!                                                                    └─▶ audit ─▶ announce ─▶ ROLE_CHANGES
//! ```
//!
//! The modules are layers. In reading order, lowest first; a layer uses only those below it:
//!
//! - [`rolekeeper_domain`] decides: pure, no IO, no async, no clock, no randomness, no logging.
//! - [`clock`], [`config`], [`lifecycle`], [`metrics`], [`telemetry`], [`traces`]: ground services, each a leaf; so is `crash_point`, for tests.
//! - [`auth0`], [`bus`], [`store`]: one outside system each, which never call each other.
//! - [`flow`]: the stages accept, fold, reconcile, sweep, announce.
//! - [`http`] listens.
//! - [`app`] builds everything from the configuration and spawns the stages.
//! - [`cli`] holds the commands.

// First, so that its macro is known in all others.
#[macro_use]
mod crash_point;

pub mod app;
pub mod auth0;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod flow;
pub mod http;
pub mod lifecycle;
pub mod metrics;
pub mod store;
pub mod telemetry;
pub mod traces;
