//! Runs `discover`: builds its parts from the configuration.
//!
//! Must never start a stage.

use anyhow::Result;

use super::connect::connect;
use super::deps::client;
use crate::config::DiscoveryConfig;
use crate::flow::discovery::{Discover, Mode};
use crate::store::discovery::Discovery;
use rolekeeper_domain::act::Act;

/// Finds all holders of managed roles at Auth0.
///
/// # Errors
/// Postgres or Auth0 refused, or a setting cannot be used.
pub async fn discover(config: DiscoveryConfig, mode: Mode, act: &Act) -> Result<Discovery> {
    let DiscoveryConfig {
        database,
        auth0,
        reserve,
        erasure_key,
    } = config;
    let store = connect(&database).await?.with_erasure_key(erasure_key);
    store.check_schema().await?;
    store.check_erasure_key().await?;
    let discover = Discover::new(store, &client(&auth0)?, auth0.plan);
    Ok(discover.run(reserve, mode, act).await?)
}
