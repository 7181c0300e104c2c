//! Tests.

mod auth0_client;
mod floors;
mod official_clients;
mod tenant_recordings;
