//! Display names have a share of the calls, and no more.

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};

use crate::world::names::{request_name, store};
use crate::world::{ANN, World};

async fn run(world: &World, statement: &'static str) {
    let run = sqlx::raw_sql(statement).execute(&world.db);
    run.await.expect("Postgres responds");
}

/// A user with continuous name requests costs one write a minute, and the newest request is written.
#[tokio::test]
async fn m4_one_user_has_one_name_written_a_minute() {
    let world = World::start().await;
    let store = store(&world);
    world.seed_user(ANN, &[]);
    request_name(&store, ANN, "Ann 0").await;
    world.is_named(ANN, "Ann 0").await;
    for n in 1..6 {
        request_name(&store, ANN, &format!("Ann {n}")).await;
        world
            .count_is(
                "the request waits for its minute",
                "SELECT count(*) FROM work_queue WHERE due_at > now() + interval '30 seconds' AND lease IS NULL",
                1,
            )
            .await;
    }
    assert_eq!(world.endpoints_of(ANN), [ReadUser, PatchUser]);
    run(
        &world,
        "UPDATE display_name_writes SET written_at = written_at - interval '1 minute'; UPDATE work_queue SET due_at = now()",
    )
    .await;
    world.is_named(ANN, "Ann 5").await;
    world.settled().await;
    assert_eq!(world.calls_to(PatchUser), 2);
    // Old marks are removed.
    run(
        &world,
        "UPDATE display_name_writes SET written_at = written_at - interval '1 minute'",
    )
    .await;
    world.start_worker_with(&[("SWEEP_INTERVAL_S", "1")]).await;
    world.workers()[0].kill9().await;
    world
        .count_is("marks are removed", "SELECT count(*) FROM display_name_writes", 0)
        .await;
}

/// Thirty users request names at once on a small plan; a holder's verification does not wait for all of them.
#[tokio::test]
async fn m4_no_number_of_names_keeps_drift_from_being_found() {
    let world = World::builder()
        .env("SWEEP_INTERVAL_S", 1)
        .env("AUTH0_PLAN", "4:6")
        .start()
        .await;
    let store = store(&world);
    world.seed_user(ANN, &[]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    world.told(&["pause"]).await;
    let reads = world.calls_of(ANN).len();
    for n in 0..30 {
        let user = format!("auth0|u{n}");
        world.seed_user(&user, &[]);
        request_name(&store, &user, "Sam").await;
    }
    run(
        &world,
        "UPDATE assignments SET verified_at = verified_at - interval '25 hours'",
    )
    .await;
    world
        .count_is(
            "her verification waits",
            "SELECT count(*) FROM work_queue WHERE priority = 4",
            1,
        )
        .await;
    let patches = world.patches();
    world.told(&["resume"]).await;
    world
        .eventually("she is verified", async || world.calls_of(ANN).len() > reads)
        .await;
    let named = world.patches() - patches;
    assert!(named < 10, "{named} names came first");
}
