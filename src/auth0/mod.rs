//! Talks to the Auth0 Management API: reads a user, patches a user, keeps the token for both.
//!
//! Owns everything that is said over HTTP to the tenant, and sorts what can go wrong by who acts next. Must
//! never decide what to write, never wait for the rate limit (the pacer does, above), and never try a call a
//! second time but for one stale token. [`Reader`] and [`Writer`] are two types, so that what only plans
//! cannot write. [`Bearer`] judges the access tokens that users bring; it needs the tenant's public keys and no
//! secret.

mod assertion;
mod bearer;
mod canonical;
mod client;
mod error;
mod jwks;
mod logs;
mod profile_text;
mod rate;
mod reply;
mod signature;
mod token;
mod users;

#[cfg(test)]
mod tests;

pub use bearer::{Bearer, BearerOptions, Refusal};
pub use canonical::canonical_domain;
pub use client::{Client, ClientOptions, EXCHANGES_PER_CALL, SetupError};
pub use error::{CallError, LaterWhy, Outcome};
pub use jwks::KeyFetcher;
pub use logs::{LogReader, MAX_TAKE, Page, Record};
pub use reply::Reply;
pub use users::{Profile, Reader, Writer};

pub use rolekeeper_domain::pacer::RateHeaders;
