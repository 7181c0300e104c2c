//! Requests of shadow mode wait without an attempt, perhaps for months: neither a scrape nor a sweep reads them all.

use crate::world::World;

/// More than two slices of the sweep.
const REQUESTS: i64 = 2_500;

async fn without_writes() -> World {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).limit("writes", 0.0);
    let world = world.start().await;
    world
        .run_sql(
            "INSERT INTO display_names (user_id, request_id, requested, requested_at)
             SELECT 'auth0|u' || n, gen_random_uuid(), 'Ann', now() FROM generate_series(1, 2500) AS n",
        )
        .await;
    world
}

/// Waits until Postgres has noted this many further reads of the table.
async fn reads(world: &World, table: &'static str, further: i64) {
    let reads = async || {
        let reads = "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = $1";
        let reads = sqlx::query_scalar(reads).bind(table).fetch_one(&world.db).await;
        reads.expect("Postgres responds")
    };
    let before: i64 = reads().await;
    world
        .eventually("Postgres notes reads", async || {
            let shown = r#"rolekeeper_display_names{state="waiting"}"#;
            assert_eq!(world.worker().count(shown).await, Some(REQUESTS));
            reads().await >= before + further
        })
        .await;
}

#[tokio::test]
async fn names_of_shadow_mode_are_counted_without_a_scan() {
    let world = without_writes().await;
    // Three sweeps, and scrapes meanwhile.
    reads(&world, "races", 3).await;
    reads(&world, "counter_changes", 3).await;
    let read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'display_names'";
    assert_eq!(world.number(read).await, Some(0));
}

#[tokio::test]
async fn names_of_shadow_mode_are_queued_once_writes_are_on() {
    let world = without_writes().await;
    world.told(&["pause"]).await;
    world
        .told(&["limits", "set", "writes", "on", "--why", "a story"])
        .await;
    let queued = "SELECT count(*) FROM work_queue";
    world.count_is("all are queued", queued, REQUESTS).await;
}
