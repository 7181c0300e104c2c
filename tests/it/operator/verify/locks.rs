//! Commands that change counts at the same time: each waits for the other, and none is refused.

use std::time::Duration;

use super::world;
use crate::world::{World, text};

const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// `forgive` waits for a row of the second playlist and has the first one; `rebuild` corrects the first one.
#[tokio::test]
async fn forgive_and_rebuild_at_once_both_end() {
    let world = world().start().await;
    world.based().await;
    for name in ["ann", "bob"] {
        world.played(name, 10).await;
    }
    world.settled().await;
    // The worker makes bases, and would wait too.
    world.worker().sigterm(Duration::from_secs(10)).await;
    world.run_sql("UPDATE playlists SET plays = -5").await;
    let mut other = world.db.begin().await.expect("Postgres responds");
    let row = "SELECT FROM playlists WHERE playlist_id = 'pl_bob' FOR UPDATE";
    sqlx::raw_sql(row).execute(&mut *other).await.expect("locked");
    let forgive = world.command(&["forgive", "--all", "--why", "a test"]);
    let rebuild = async {
        waiting(&world, 1).await;
        world.command(&["rebuild", "--why", "a test"]).await
    };
    let free = async {
        waiting(&world, 2).await;
        other.rollback().await.expect("Postgres responds");
    };
    let (forgiven, rebuilt, ()) = tokio::join!(forgive, rebuild, free);
    assert!(forgiven.status.success(), "{}", text(&forgiven));
    // The bases of both playlists ended with their correction.
    assert!(text(&rebuilt).contains("62 partitions"), "{}", text(&rebuilt));
    assert_eq!(world.number("SELECT min(plays) FROM playlists").await, Some(0));
}

/// A correction would take the forgiven retractions for plays.
#[tokio::test]
async fn forgive_is_refused_while_counts_are_corrected() {
    let world = world().start().await;
    world.played("ann", 10).await;
    world.settled().await;
    world
        .run_sql("UPDATE playlists SET plays = -5; INSERT INTO rebuild (run, holds_until) VALUES (gen_random_uuid(), now() + interval '1 hour')")
        .await;
    let refused = world.command(&["forgive", "--all", "--why", "a test"]).await;
    let said = text(&refused);
    assert!(
        !refused.status.success() && said.contains("`rolekeeper rebuild` is under way"),
        "{said}"
    );
    assert_eq!(world.number("SELECT plays FROM playlists").await, Some(-5));
}

async fn waiting(world: &World, commands: i64) {
    world
        .count_is("the commands wait for locks", WAITING, commands)
        .await;
}
