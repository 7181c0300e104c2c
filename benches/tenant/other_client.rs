//! Another client of the tenant.
//!
//! Owns a steady rate of reads. It sends the next call without a wait for the response, and does not retry: each 429 that it
//! gets is one in the tenant's log.

use std::time::Duration;

use anyhow::Result;
use rolekeeper_sandbox::tenant::Tenant;
use rolekeeper_sandbox::traffic::management::Management;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::world::{OTHER_CLIENT, SECRET, bystander};

/// A client that reads until it is dropped.
#[derive(Debug)]
pub(crate) struct OtherClient {
    _reading: JoinSet<()>,
}

impl OtherClient {
    /// Starts it with `per_second` calls per real second.
    pub(crate) async fn start(tenant: &Tenant, per_second: u32) -> Result<Self> {
        Self::start_at(tenant, Duration::from_secs(1) / per_second).await
    }

    /// Starts it with a call in each such period.
    pub(crate) async fn start_at(tenant: &Tenant, every: Duration) -> Result<Self> {
        let api = Management::connect(tenant, OTHER_CLIENT, SECRET).await?;
        let mut reading = JoinSet::new();
        reading.spawn(read(api, every));
        Ok(Self { _reading: reading })
    }
}

async fn read(api: Management, every: Duration) {
    let mut ticks = interval(every);
    let mut calls = JoinSet::new();
    for number in 0.. {
        // A late tick is made up for, so that the rate holds on a busy host too.
        ticks.tick().await;
        let api = api.clone();
        calls.spawn(async move {
            // The tenant's log has the result.
            let _ = api.user(&bystander(number), None).await;
        });
        while calls.try_join_next().is_some() {}
    }
}
