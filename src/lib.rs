//! Rolekeeper keeps roles in Auth0 in step with what users do.
//!
//! ```text
//!  Auth0 log stream ─▶ accept ─▶ AUTH0_LOGS ─┐
//!  app servers ───────────────▶ APP_EVENTS ──┴▶ fold ─▶ Postgres ─▶ reconcile ─▶ Auth0 Management API
//!                                                   facts, cursor,   │   ▲
//!                                                   nominations      │   └─ sweep (timer nominates)
//!                                                                    └─▶ audit ─▶ announce ─▶ ROLE_CHANGES
//! ```
//!
//! The modules are floors. In reading order, lowest first; a floor uses only those below it:
//!
//! - [`rolekeeper_domain`] decides: pure, no IO, no async, no clock, no randomness, no logging.
//! - [`clock`], [`config`], [`lifecycle`], [`metrics`], [`telemetry`]: ground services, each a leaf.
//! - [`auth0`], [`bus`], [`store`] talk: one outside system each, never to each other.
//! - [`flow`] does: accept, fold, reconcile, sweep, announce.
//! - [`http`] listens.
//! - [`app`] builds everything from the configuration and spawns the stages.
//! - [`cli`] holds the commands.

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
