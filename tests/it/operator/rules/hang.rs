//! A rules file, or a hint, that hangs: the worker still reads rules and limits, and can end.

use std::process::Command;
use std::time::Duration;

use crate::world::rules::{rules_file, without_workers};
use crate::world::{World, text};

const WRITES: &str = "rolekeeper_writes_enabled";
const REFUSED: &str = "rolekeeper_rules_refused";
const OFF: [&str; 5] = ["limits", "set", "writes", "off", "--why=moving"];

/// Replaces the file by a pipe without a writer.
fn hang(path: &std::path::Path) {
    std::fs::remove_file(path).unwrap();
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn a_rules_file_that_hangs_holds_up_nothing() {
    let (world, first) = (without_workers().await, rules_file(1, 1));
    let worker = world.worker_of(&first).await;
    hang(&first.path());
    world.told(&OFF).await;
    world
        .eventually("writes are off", async || worker.count(WRITES).await == Some(0))
        .await;
    let newer = rules_file(2, 3);
    let path = newer.path();
    let apply = ["apply", path.to_str().unwrap(), "--why=more"];
    let (applied, said) = world.rules(&apply).await;
    assert!(applied, "{said}");
    world.works_under(&worker, 2).await;
    world
        .eventually("the file is refused", async || {
            worker.count(REFUSED).await == Some(1)
        })
        .await;
    world.played("ann", 5).await;
    world.quiet().await;
    assert_eq!(world.patches(), 0, "writes are off");
    let ended = worker.sigterm(Duration::from_secs(8)).await;
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn a_hint_that_cannot_be_listened_for_holds_up_nothing() {
    let world = World::builder().workers(0).postgres_proxy().start().await;
    world.postgres_proxy().hold(b"LISTEN");
    let worker = world.start_worker().await;
    world
        .eventually("it waits at LISTEN", async || world.postgres_proxy().held() > 0)
        .await;
    let output = world.command(&OFF).await;
    assert!(output.status.success(), "{}", text(&output));
    world
        .eventually("writes are off", async || worker.count(WRITES).await == Some(0))
        .await;
    let ended = worker.sigterm(Duration::from_secs(8)).await;
    assert!(ended.success(), "{ended}");
}
