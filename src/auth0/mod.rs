//! The adapter for the Auth0 Management API: reads and exports users, patches users, reads the log, keeps the token.
//!
//! Owns all HTTP calls to the tenant, and sorts their errors by the actor of the next step. Must never decide what to write,
//! never wait for the rate limit (the pacer does), and never retry a call, except once for a stale token. [`Reader`] and
//! [`Writer`] are two types, so that code that only plans cannot write. [`Bearer`] verifies the access tokens of users; it
//! needs the tenant's public keys and no secret.

mod assertion;
mod bearer;
mod canonical;
mod client;
mod error;
mod export_lines;
mod exports;
mod http;
mod jwks;
mod logs;
mod profile_text;
mod rate;
mod reply;
mod signature;
mod timed_body;
mod token;
mod users;
mod webhook_call;

#[cfg(test)]
mod tests;

pub use bearer::{Bearer, BearerOptions, Caller, Refusal};
pub use canonical::canonical_domain;
pub use client::{Client, ClientOptions, EXCHANGES_PER_CALL};
pub use error::{CallError, LaterWhy, Outcome};
pub use exports::{ExportFile, Exporter, Job};
pub use http::SetupError;
pub use jwks::KeyFetcher;
pub use logs::{LogReader, MAX_TAKE, Page, Record};
pub use reply::Reply;
pub use token::drift as clock_drift;
pub use users::{Account, HolderPage, Profile, Reader, Writer};
pub use webhook_call::call_webhook;

pub use rolekeeper_domain::pacer::RateHeaders;
