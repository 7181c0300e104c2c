//! Limits in the database hold for all workers; a worker's own settings only tighten them.

use crate::world::{World, text};

const WRITES: &str = "rolekeeper_writes_enabled";
const SHADOW: &str = "SELECT count(*) FROM role_changes WHERE outcome = 'shadow'";

/// A standby of another deployment has `AUTH0_WRITES=on`: the operator's limit holds nevertheless.
#[tokio::test]
async fn writes_that_are_off_in_the_database_are_off_for_all_workers() {
    let world = World::builder()
        .env("AUTH0_WRITES", "on")
        .env("SWEEP_INTERVAL_S", 1)
        .start()
        .await;
    let set = |value: &'static str| ["limits", "set", "writes", value, "--why", "moving", "--as", "ann"];
    world.told(&set("off")).await;
    let heir = world.start_worker().await;
    world.workers()[0].kill9().await;
    world.played("ann", 100).await;
    world.count_is("it is decided", SHADOW, 1).await;
    assert_eq!((world.patches(), heir.count(WRITES).await), (0, Some(0)));
    let shown = world.told(&["limits"]).await;
    let writes = shown
        .lines()
        .find(|line| line.starts_with("writes"))
        .expect("a line");
    assert!(
        writes.contains("off") && writes.contains("by ann: moving"),
        "{shown}"
    );
    world.told(&set("on")).await;
    world.holders_are("it is written", &["ann"], &["ann"]).await;
    let kept = "SELECT count(*) FROM limits WHERE name = 'writes'";
    assert_eq!(world.number(kept).await, Some(3), "each change is kept");
}

#[tokio::test]
async fn a_worker_tightens_limits_and_loosens_none() {
    let own = [
        ("AUTH0_WRITES", "off"),
        ("BRAKE_GRANTS", "5000"),
        ("BRAKE_REVOKES", "7"),
    ];
    let world = World::builder().workers(0).start().await;
    let worker = world.start_worker_with(&own).await;
    let shown = world.told(&["limits"]).await;
    for tighter in ["writes = off", "brake_revokes = 7"] {
        assert!(
            shown.contains(&format!("works with {tighter}, by its own settings")),
            "{shown}"
        );
    }
    assert!(!shown.contains("works with brake_grants"), "{shown}");
    world.played("ann", 100).await;
    world.count_is("it is decided", SHADOW, 1).await;
    assert_eq!(worker.count(WRITES).await, Some(0));
    // Its settings end with it.
    worker.kill9().await;
    world.start_worker().await;
    world.holders_are("it is written", &["ann"], &["ann"]).await;
}

#[tokio::test]
async fn a_limit_that_is_none_is_refused() {
    let world = World::builder().workers(0).start().await;
    for (name, value, says) in [
        (
            "speed",
            "1",
            "no such limit, expected one of writes, brake_revokes",
        ),
        ("writes", "maybe", "expected one of on, off"),
        ("reserve", "1", "expected a number from 0 to 0.9"),
    ] {
        let output = world.command(&["limits", "set", name, value, "--why", "x"]).await;
        assert!(
            !output.status.success() && text(&output).contains(says),
            "{}",
            text(&output)
        );
    }
}
