//! Runs that end in the middle, on a tenant with a small rate limit and other clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault, RatePlan, TenantOptions};
use tokio::task::JoinSet;

use crate::world::discover::found;
use crate::world::oracle::ROLE;
use crate::world::races::Other;
use crate::world::{CLIENT, World, size, text};

/// Interval between two calls of the other client: faster than the tenant's plan without the faster clock.
const OTHER_EVERY: Duration = Duration::from_millis(40);

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
        run.killed_when(async || world.discoveries().len() >= kill).await;
    }
    let said = world.discover(folder.path()).result().await;
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

#[tokio::test]
async fn a_killed_run_begins_again_on_request() {
    let world = World::start().await;
    world.imported("old", 0..250, &[ROLE]);
    let second_page = Fault::DelayedAnswer(Duration::from_secs(30));
    let search = CallMatch::to(Endpoint::ListUsers);
    world
        .tenant
        .fault_once(search.clone(), Fault::Delay(Duration::ZERO));
    world.tenant.fault_once(search, second_page);
    let folder = tempfile::tempdir().expect("a folder");
    let run = world.discover(folder.path());
    run.killed_when(async || world.unadopted().await > 0).await;
    assert_eq!(world.unadopted().await, 99, "the first page is stored");
    // A user of the first page.
    world.tenant.delete_user("auth0|old7");
    let output = world
        .command(&["discover", "--again", "--why", "a user left"])
        .await;
    let said = text(&output);
    assert!(
        said.contains(&found(249)) && !said.contains("continuing"),
        "{said}"
    );
    let acts = world.told(&["acts"]).await;
    assert!(acts.contains("a user left"), "{acts}");
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
