//! The progress of a drain: how many users wait, how fast their attempts end, and how long the rest takes.
//!
//! F24: 100,000 users cross the threshold at once: paced, continued after a kill, progress and remaining time shown.

use crate::world::World;
use crate::world::oracle::ROLE;

/// Users who wait, and such who do not: held, parked, or due in an hour.
const QUEUED: &str = "INSERT INTO work_queue (user_id, priority, held_by, parked_at, due_at)
    SELECT 'auth0|q' || n, 1, CASE WHEN n % 4 = 1 THEN 'stream_loss' END, CASE WHEN n % 4 = 2 THEN now() END,
        CASE WHEN n % 4 = 3 THEN now() + interval '1 hour' ELSE now() END
    FROM generate_series(1, 800) AS n";
/// Without it the sweep gives back the users who are held by a loss.
const LOSS: &str =
    "INSERT INTO stream_losses (stream, kind, detail) VALUES ('APP_EVENTS', 'hole', 'of the test')";
const WAITING: &str = "rolekeeper_drain_users";

#[tokio::test]
async fn f24_a_drain_is_shown_without_counting_the_queue() {
    let world = World::start().await;
    world.told(&["pause"]).await;
    let (queued, worker) = ("SELECT count(*) FROM work_queue", world.worker());
    world.run_sql(LOSS).await;
    world.run_sql(QUEUED).await;
    assert_eq!(worker.count(WAITING).await, Some(200));
    assert_eq!(worker.count("rolekeeper_drain_remaining_seconds").await, Some(-1));
    for (state, users) in [("due", 200), ("held", 200), ("parked", 200), ("waiting", 200)] {
        let series = format!("rolekeeper_work_queue_users{{state=\"{state}\"}}");
        assert_eq!(worker.count(&series).await, Some(users), "{state}");
    }
    let shown = world.told(&["brake"]).await;
    assert!(
        shown.contains("200 users wait for an attempt, and no attempt ended in the last minute"),
        "{shown}"
    );
    world
        .run_sql("UPDATE work_queue SET held_by = NULL, parked_at = NULL, due_at = now()")
        .await;
    assert_eq!(worker.count(WAITING).await, Some(800));
    world.run_sql("DELETE FROM work_queue").await;
    assert_eq!(
        (worker.count(WAITING).await, world.number(queued).await),
        (Some(0), Some(0))
    );
    assert_eq!(worker.count("rolekeeper_drain_remaining_seconds").await, Some(0));
}

#[tokio::test]
async fn f24_the_rate_of_a_drain_counts_ended_attempts() {
    let world = World::start().await;
    for name in ["ann", "bob", "cid"] {
        world.played(name, 100).await;
    }
    world
        .holders_are("all have it", &["ann", "bob", "cid"], &["ann", "bob", "cid"])
        .await;
    world.settled().await;
    let worker = world.worker();
    assert!(worker.count("rolekeeper_attempts_ended_total").await >= Some(3));
    world
        .eventually("the rate is sampled", async || {
            worker.metric("rolekeeper_drain_users_per_minute").await > 0.0
        })
        .await;
    assert!(world.has("ann", ROLE));
    let shown = world.told(&["brake"]).await;
    assert!(!shown.contains("users wait for an attempt"), "{shown}");
}
