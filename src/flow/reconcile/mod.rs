//! Makes roles at Auth0 match what facts and rules require, and display names match what users request.
//!
//! Events only name the users to check; every trigger leads to the same result. The `Dispatcher` consumes the work
//! queue: several attempts in flight, never the same user twice (a lease, for safety). An `Attempt` is one pass over one
//! user: claim, observe, decide, write, record. Must never write a change that is not in the audit, and never touch a
//! role that no rule names.

mod absent;
mod attempt;
mod audit;
mod batches;
mod begin;
mod brake;
mod carried_removals;
mod circuit_breaker;
mod claim;
mod context;
mod decide;
mod decision;
mod dispatch;
mod dispatcher;
mod give_back;
mod gone;
mod health;
mod hidden;
mod locked;
mod locks;
mod name_change;
mod observe;
mod own_writes;
mod parting;
mod passing;
mod pause;
mod permission;
mod persons;
mod plain;
mod plain_write;
mod race;
mod record;
mod removal;
mod requeue;
mod restore;
mod slots;
mod steps;
mod stray;
mod tenant_failure;
mod together;
mod turns;
mod unreturned;
mod write;

pub(super) use context::lease_for;
pub(super) use dispatcher::{Deps, Dispatcher};
pub(super) use health::STAGE;
