//! A Postgres that rolekeeper shares: with another deployment, with long transactions, with its own sweep.

use sqlx::{Connection as _, PgConnection};

use crate::world::events::{plays, retraction};
use crate::world::{World, text};

const ACTIVE: &str = r#"rolekeeper_fold_active{stream="APP_EVENTS"}"#;
const FOLDED: &str = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";

async fn connection(world: &World) -> PgConnection {
    let url = world.setting("DATABASE_URL");
    PgConnection::connect(&url).await.expect("Postgres responds")
}

async fn run(connection: &mut PgConnection, statement: &'static str) {
    let done = sqlx::raw_sql(statement).execute(connection).await;
    done.expect("Postgres responds");
}

#[tokio::test]
async fn two_schemas_of_one_database_do_not_wait_for_each_other() {
    let world = World::builder().env("ONLY", "fold").start().await;
    run(&mut connection(&world).await, "CREATE SCHEMA other").await;
    let url = format!("{}?options=-csearch_path%3Dother", world.setting("DATABASE_URL"));
    let other = [("DATABASE_URL", url.as_str())];
    let migrated = world.command_with(&["migrate"], &other).await;
    assert!(migrated.status.success(), "{}", text(&migrated));
    let first = world.worker();
    let second = world.start_worker_with(&other).await;
    world
        .eventually("both fold", async || {
            first.count(ACTIVE).await == Some(1) && second.count(ACTIVE).await == Some(1)
        })
        .await;
    world.publish(&plays("p", "pl_1", 0..5)).await;
    for counted in [
        "SELECT plays FROM public.playlists",
        "SELECT plays FROM other.playlists",
    ] {
        world
            .eventually("it is counted in each", async || {
                world.number(counted).await == Some(5)
            })
            .await;
    }
}

#[tokio::test]
async fn keys_that_fell_behind_are_repaired() {
    let world = World::builder().env("ONLY", "fold").start().await;
    world.publish(&plays("a", "pl_1", 0..1)).await;
    world.publish(&plays("b", "pl_2", 0..1)).await;
    world
        .eventually("both are known", async || world.number(FOLDED).await == Some(2))
        .await;
    // As after a logical replication, which copies rows and no sequences.
    run(
        &mut connection(&world).await,
        "SELECT setval('playlist_keys', 1, false)",
    )
    .await;
    world.publish(&plays("c", "pl_3", 0..1)).await;
    world
        .eventually("it is counted", async || world.number(FOLDED).await == Some(3))
        .await;
    let letters = "SELECT count(*) FROM dead_letter_totals";
    assert_eq!(world.number(letters).await, Some(0));
    assert_eq!(
        world.number("SELECT count(DISTINCT key) FROM playlists").await,
        Some(3)
    );
}

#[tokio::test]
async fn a_long_transaction_is_seen_with_what_it_leaves() {
    let world = World::builder()
        .env("ONLY", "fold")
        .env("FOLD_BATCH", 1)
        .start()
        .await;
    let worker = world.worker();
    let mut old = connection(&world).await;
    run(
        &mut old,
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM stream_cursors",
    )
    .await;
    world.publish(&plays("a", "pl_1", 0..200)).await;
    world
        .eventually("its age is shown, and old versions", async || {
            let oldest = worker
                .metric("rolekeeper_postgres_oldest_transaction_seconds")
                .await;
            let versions = worker.count("rolekeeper_cursor_dead_versions").await;
            oldest > 1.0 && versions.is_some_and(|versions| versions >= 100)
        })
        .await;
    run(&mut old, "ROLLBACK").await;
    world
        .eventually("it is over", async || {
            worker
                .metric("rolekeeper_postgres_oldest_transaction_seconds")
                .await
                < 1.0
        })
        .await;
}

/// Enough rows between two users that no partition has both.
const FAR_APART: &str = "INSERT INTO pause DEFAULT VALUES;

    INSERT INTO playlists (playlist_id, plays, owner_id) VALUES ('pl_a', 100, 'auth0|a'), ('pl_z', 100, 'auth0|z');
    INSERT INTO playlists (playlist_id, plays, owner_id)
    SELECT 'm_' || n, 0, 'auth0|m' || n FROM generate_series(1, 6000) AS n";

#[tokio::test]
async fn a_sweep_that_waits_holds_up_no_fold() {
    let world = World::builder().workers(0).start().await;
    let mut other = connection(&world).await;
    run(&mut other, FAR_APART).await;
    // The sweep waits for the end of this row's transaction.
    run(
        &mut other,
        "BEGIN; INSERT INTO work_queue (user_id, priority) VALUES ('auth0|z', 1)",
    )
    .await;
    world.start_worker().await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    world
        .eventually("the sweep waits", async || world.number(waits).await == Some(1))
        .await;
    world.publish(&[retraction("r", "p-1", "pl_a")]).await;
    world
        .eventually("a user that the sweep found is folded", async || {
            world.number(FOLDED).await == Some(1)
        })
        .await;
    assert_eq!(world.number(waits).await, Some(1), "it still waits");
    run(&mut other, "ROLLBACK").await;
}
