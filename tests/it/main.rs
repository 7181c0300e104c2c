//! Tests.

mod auth0_client;
mod floors;
