//! Runs that end in the middle, on a tenant with a small rate limit and other clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rolekeeper_sandbox::tenant::{RatePlan, TenantOptions};
use tokio::task::JoinSet;

use crate::world::discover::{Run, found};
use crate::world::oracle::ROLE;
use crate::world::races::Other;
use crate::world::{CLIENT, World, poll, size, text};

/// Interval between two calls of the other client: faster than the tenant's plan without the faster clock.
const OTHER_EVERY: Duration = Duration::from_millis(40);
const RUN_WITHIN: Duration = Duration::from_mins(3);

async fn world() -> World {
    let options = TenantOptions {
        plan: RatePlan::SELF_SERVICE,
        clock_factor: 10.0,
        latency: Duration::from_millis(20)..=Duration::from_millis(60),
        ..TenantOptions::default()
    };
    let world = World::builder().tenant(options).limit("reserve", 0.5);
    world.env("AUTH0_PLAN", "self-service").start().await
}

/// Lets the run make its calls, up to this one, and kills it.
async fn killed_after(world: &World, mut run: Run, calls: usize) {
    let mut ended = None;
    let made = async || {
        ended = run.process.try_wait().expect("its state");
        (ended.is_some() || world.discoveries().len() >= calls).then_some(())
    };
    poll(RUN_WITHIN, made).await.expect("the call is made");
    let output = std::fs::read_to_string(&run.output).expect("its output");
    assert!(ended.is_none(), "it ended by itself: {output}");
    run.process.kill().await.expect("it ends");
}

#[tokio::test]
async fn a_killed_run_goes_on_and_disturbs_no_client() {
    let world = world().await;
    let (users, holders) = (size(2_500, 25_000), size(600, 3_000));
    let kills = [size(3, 10) as usize, size(6, 25) as usize];
    world.imported("editor", (0..holders).map(|n| n * 7), &[ROLE]);
    world.imported("user", 0..users - holders, &["mentor"]);
    let (other, ended) = (Other::start(&world).await, Arc::new(AtomicBool::new(false)));
    let until = Arc::clone(&ended);
    let mut calls = JoinSet::new();
    calls.spawn(async move {
        let mut every = tokio::time::interval(OTHER_EVERY);
        while !until.load(Ordering::Relaxed) {
            every.tick().await;
            other.read("auth0|user1").await;
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    for kill in kills {
        let run = world.discover(folder.path());
        killed_after(&world, run, kill).await;
    }
    let mut run = world.discover(folder.path());
    let status = tokio::time::timeout(RUN_WITHIN, run.process.wait()).await;
    let said = std::fs::read_to_string(&run.output).expect("its output");
    assert!(
        status.expect("it ends in time").expect("it ran").success(),
        "{said}"
    );
    ended.store(true, Ordering::Relaxed);
    while let Some(call) = calls.join_next().await {
        call.expect("no call of the other client fails");
    }
    assert!(
        said.contains(&found(holders as usize)) && said.contains("continuing"),
        "{said}"
    );
    assert_eq!(world.unadopted().await, i64::from(holders));
    check(&world, holders as usize);
}

/// A role that another client gave meanwhile, to a user whose creation the search had passed, is found nevertheless.
#[tokio::test]
async fn a_run_that_was_interrupted_for_a_day_begins_again() {
    let world = World::start().await;
    world.imported("old", 0..30, &[ROLE]);
    world.told(&["discover"]).await;
    world
        .run_sql(
            "UPDATE discovery SET done_at = NULL, began_at = began_at - interval '26 hours', moved_at = moved_at - interval '25 hours';
             UPDATE discovered_roles SET done = false, bound = 'after', created_at = '2024-03-01'",
        )
        .await;
    world.imported("given", 0..5, &[ROLE]);
    let output = world.command(&["discover"]).await;
    let said = text(&output);
    assert!(
        said.contains(&found(35)) && said.contains("25 hours ago, so this one begins again"),
        "{said}"
    );
}

#[tokio::test]
async fn the_result_of_a_long_run_says_when_it_was() {
    let world = World::start().await;
    world.imported("old", 0..30, &[ROLE]);
    let said = world.told(&["discover"]).await;
    assert!(!said.contains("the search took"), "{said}");
    world
        .run_sql("UPDATE discovery SET done_at = NULL, began_at = began_at - interval '26 hours'")
        .await;
    let output = world.command(&["discover"]).await;
    let said = text(&output);
    assert!(
        said.contains("continuing") && said.contains("the search took from "),
        "{said}"
    );
}

/// No client met the limit, and no page was asked for again without need.
fn check(world: &World, holders: usize) {
    let calls = world.tenant.calls();
    let limited = |ours| {
        let of = calls.iter().filter(|call| call.status == Some(429));
        of.filter(|call| (call.client.as_deref() == Some(CLIENT)) == ours)
            .count()
    };
    assert_eq!((limited(true), limited(false)), (0, 0));
    let (searches, least) = (world.discoveries().len(), holders.div_ceil(99));
    assert!(
        (least..=least + 4).contains(&searches),
        "{searches} searches, at least {least}"
    );
    assert_eq!(world.patches(), 0);
}
