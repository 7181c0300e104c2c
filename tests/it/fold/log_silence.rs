//! A log stream that falls silent while the tenant has records.
//!
//! F27: the log stream is silent for an hour, its deliveries dropped: the sweep repairs still; the gap filler reads what was missed from
//! its checkpoint.

use std::time::Duration;

use serde_json::json;

use super::log_gaps::{begun, filling, sign_up, users_known};
use crate::world::{ANN, World};

#[tokio::test]
async fn f27_a_silent_stream_is_reported_once_by_one_worker() {
    let world = filling()
        .workers(2)
        .env("LOG_STREAM_SILENT_AFTER_S", 2)
        .start()
        .await;
    let said = |what: &str| {
        let says = |message: &String| message.contains(what);
        let workers = world.workers();
        workers
            .iter()
            .flat_map(|worker| worker.messages().into_iter().filter(says))
            .count()
    };
    let silent = async |expected: f64| {
        let metric = "rolekeeper_log_stream_silent";
        (world.worker().metric(metric).await - expected).abs() < 0.5
    };
    // The gap filler reads the records, and that does not count as a delivery of the stream.
    begun(&world).await;
    sign_up(&world, 0..2);
    world
        .eventually("the silence is seen", async || silent(1.0).await)
        .await;
    world
        .eventually("the gap filler has read", async || users_known(&world).await == 2)
        .await;
    assert!(silent(1.0).await, "the gap filler counts as the stream");
    world.connect_log_stream().await;
    sign_up(&world, 2..3);
    world
        .eventually("its deliveries are noticed again", async || {
            said("delivers again") == 1
        })
        .await;
    assert_eq!(said("has delivered nothing for 2 s"), 1);
    assert!(
        world
            .worker()
            .metric("rolekeeper_log_stream_last_delivery_timestamp_seconds")
            .await
            > 1.7e9
    );
    world
        .eventually_within(Duration::from_secs(15), "and silent again", async || {
            said("has delivered nothing for 2 s") == 2
        })
        .await;
}

/// Without the gap filler no record reports that another client removed the role.
#[tokio::test]
async fn f27_the_sweep_repairs_after_an_hour_without_records() {
    let builder = World::builder().env("VERIFY_AFTER_H", 1);
    let world = builder.env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    world.played("ann", 100).await;
    world.holders_are("she earns it", &["ann"], &["ann"]).await;
    world.settled().await;
    world.tenant.silence(true);
    let without = json!({"app_metadata": {"roles": ["mentor"]}});
    let edited = world.tenant.edit_by_other_client("crm", ANN, without);
    edited.expect("an edit");
    assert_eq!(world.tenant.silenced_log_ids().len(), 1);
    world
        .run_sql("UPDATE assignments SET verified_at = verified_at - interval '1 hour'")
        .await;
    world.holders_are("it is restored", &["ann"], &["ann"]).await;
    world.settled().await;
    assert_eq!(world.tenant.delivered_log_ids().len(), 1, "the grant's alone");
}
