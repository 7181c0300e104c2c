//! The progress of a drain: how many users wait, how fast their attempts end, and how long the rest takes.
//!
//! F24: 100,000 users cross the threshold at once: paced, continued after a kill, progress and remaining time shown.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{Call, Rate, RatePlan, TenantOptions};

use crate::world::events::{play, saved};
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{World, size, user};

/// Users who wait, and such who do not: held, parked, or due in an hour.
const QUEUED: &str = "INSERT INTO work_queue (user_id, priority, held_by, parked_at, due_at)
    SELECT 'auth0|q' || n, 1, CASE WHEN n % 4 = 1 THEN 'stream_loss' END, CASE WHEN n % 4 = 2 THEN now() END,
        CASE WHEN n % 4 = 3 THEN now() + interval '1 hour' ELSE now() END
    FROM generate_series(1, 800) AS n";
/// Without it the sweep gives back the users who are held by a loss.
const LOSS: &str =
    "INSERT INTO stream_losses (stream, kind, detail) VALUES ('APP_EVENTS', 'hole', 'of the test')";
const WAITING: &str = "rolekeeper_drain_users";
const DRAINED_WITHIN: Duration = Duration::from_mins(10);

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

/// A world whose rule asks for one play, whose tenant allows this number of calls a second, and where this number of users wait for
/// their first attempt.
async fn crossed(users: u32, per_second: u32) -> (World, RulesFile) {
    let file = RulesFile::new(&rule(ROLE, 1, 1, ""));
    let plan = RatePlan::Global(Rate::new(per_second, f64::from(per_second)));
    let options = TenantOptions {
        plan,
        ..TenantOptions::default()
    };
    let builder = World::builder()
        .tenant(options)
        .limit("brake_grants", f64::from(users));
    let builder = builder.env("AUTH0_PLAN", format!("{per_second}:{per_second}"));
    let builder = builder.env("AUTH0_TIMEOUT_S", 1);
    let world = builder.env("RULES_FILE", file.path().display()).start().await;
    world.told(&["pause"]).await;
    let mut events = vec![];
    for n in 0..users {
        let (name, list) = (user(&format!("u{n}")), format!("pl_{n}"));
        world.seed_user(&name, &["mentor"]);
        events.extend([
            saved(&format!("s{n}"), &list, &name),
            play(&format!("p{n}"), &list),
        ]);
    }
    world.publish(&events).await;
    let wait = async || world.worker().count(WAITING).await == Some(users.into());
    world
        .eventually_within(DRAINED_WITHIN, "all of them wait", wait)
        .await;
    (world, file)
}

/// 100,000 users with `LONG_TESTS`.
#[tokio::test]
async fn f24_a_mass_that_crosses_is_paced_and_outlives_a_kill() {
    let (users, per_second) = (size(500, 100_000), size(40, 2_000));
    let (world, _file) = crossed(users, per_second).await;
    world.told(&["resume"]).await;
    let some = usize::try_from(users / 5).expect("a number");
    let done = async || world.patches() >= some;
    world
        .eventually_within(DRAINED_WITHIN, "some are done", done)
        .await;
    world.worker().kill9().await;
    let worker = world.start_worker().await;
    let remaining = "rolekeeper_drain_remaining_seconds";
    world
        .eventually("the remaining time is known", async || {
            worker.count(remaining).await > Some(0) && worker.count(WAITING).await > Some(0)
        })
        .await;
    let shown = world.told(&["brake"]).await;
    assert!(shown.contains(" users wait for an attempt, "), "{shown}");
    assert!(shown.contains(" min remain at this rate"), "{shown}");
    let quiet = async || world.is_quiet().await;
    world
        .eventually_within(DRAINED_WITHIN, "all are done", quiet)
        .await;
    assert!((0..users).all(|n| world.has(&format!("u{n}"), ROLE)));
    assert_eq!(world.patches(), usize::try_from(users).expect("a number"));
    assert_eq!(world.differences_beside_roles().await, Vec::<String>::new());
    let refused = |call: &&Call| call.status == Some(429);
    let refused = world
        .tenant
        .with_calls(|calls| calls.iter().filter(refused).count());
    println!("{refused} calls of {} were refused", world.api_calls());
    assert!(refused < 5, "{refused} calls were refused");
}
