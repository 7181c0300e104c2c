//! Tests.

mod auth0_client;
mod floors;
mod tenant_recordings;
