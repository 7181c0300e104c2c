//! Another client of the tenant, with a job of its own.
//!
//! Owns a steady rate of reads. It does not wait for answers to send the next, and does not retry: each 429 it gets
//! is one in the tenant's log.

use std::time::Duration;

use anyhow::Result;
use rolekeeper_sandbox::tenant::Tenant;
use rolekeeper_sandbox::traffic::management::Management;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::world::{OTHER_CLIENT, SECRET, bystander};

/// Reads until it is dropped.
#[derive(Debug)]
pub(crate) struct OtherClient {
    _reading: JoinSet<()>,
}

impl OtherClient {
    /// Starts with `per_second` calls a real second.
    pub(crate) async fn start(tenant: &Tenant, per_second: u32) -> Result<Self> {
        let api = Management::connect(tenant, OTHER_CLIENT, SECRET).await?;
        let mut reading = JoinSet::new();
        reading.spawn(read(api, Duration::from_secs(1) / per_second));
        Ok(Self { _reading: reading })
    }
}

async fn read(api: Management, every: Duration) {
    let mut ticks = interval(every);
    let mut calls = JoinSet::new();
    for number in 0.. {
        // A tick that came late is made up for: its rate is its half, also on a machine that stutters.
        ticks.tick().await;
        let api = api.clone();
        calls.spawn(async move {
            // What came of it stands in the tenant's log.
            let _ = api.user(&bystander(number), None).await;
        });
        while calls.try_join_next().is_some() {}
    }
}
