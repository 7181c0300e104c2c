//! Many users cross the threshold while the tenant slows down, refuses or halves its limit: no attempt is wasted, and every
//! user gets the role.

use std::convert::Infallible;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper_sandbox::tenant::{CallMatch, Fault, Rate, RatePlan, Tenant, TenantOptions};

use crate::world::World;
use crate::world::oracle::ROLE;

/// A limit for the worker alone.
const PLAN: Rate = Rate::new(40, 40.0);

/// A worker that may use the whole limit, and this many users who cross the threshold.
async fn crossing(plan: RatePlan, users: usize) -> World {
    let options = TenantOptions {
        plan,
        ..TenantOptions::default()
    };
    let world = World::builder().tenant(options).env("AUTH0_PLAN", "40:40");
    let world = world.env("AUTH0_RESERVE", 0).start().await;
    all_earn(&world, users).await;
    world
}

async fn all_earn(world: &World, users: usize) {
    for n in 0..users {
        let user = format!("auth0|u{n}");
        world.seed_user(&user, &["mentor"]);
        world.earn(&user, &format!("pl_{n}")).await;
    }
}

async fn written(world: &World, writes: usize) {
    world
        .eventually("some writes are done", async || world.patches() >= writes)
        .await;
}

/// Returns the calls of all users, and those of them that were refused with a 429.
fn calls(world: &World, users: usize) -> (usize, usize) {
    let calls: Vec<_> = (0..users)
        .flat_map(|n| world.calls_of(&format!("auth0|u{n}")))
        .collect();
    let refused = calls.iter().filter(|call| call.status == Some(429)).count();
    assert!((0..users).all(|n| world.roles(&format!("auth0|u{n}")) == ["mentor", ROLE]));
    (calls.len(), refused)
}

#[tokio::test]
async fn a_tenant_that_slows_down_and_recovers_costs_no_attempt() {
    let world = crossing(RatePlan::Global(PLAN), 120).await;
    written(&world, 20).await;
    let slow = Fault::DelayedAnswer(Duration::from_secs(5));
    world.tenant.hold_fault(CallMatch::any(), slow);
    written(&world, 60).await;
    world.tenant.clear_faults();
    world.settled().await;
    assert_eq!(calls(&world, 120), (240, 0));
}

/// Lets the tenant refuse every other call, by chance.
async fn refuse_half(tenant: &Tenant) -> Infallible {
    let mut rng = StdRng::seed_from_u64(7);
    loop {
        let calls = tenant.with_calls(<[_]>::len);
        if rng.random_bool(0.5) {
            tenant.fault_once(CallMatch::any(), Fault::status(429));
        }
        while tenant.with_calls(<[_]>::len) == calls {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// F11: 429 with a reset, without headers, with headers that lie (a reset in the past or a year ahead, for ever
/// nothing remaining), for an hour: calls are paced; no attempt is counted; the work queue holds one entry a user.
/// Here only some calls are refused.
#[tokio::test]
async fn f11_a_tenant_that_refuses_half_of_all_calls_is_asked_slowly() {
    let world = crossing(RatePlan::Unlimited, 0).await;
    let earned = async {
        all_earn(&world, 4).await;
        let within = Duration::from_mins(2);
        world
            .eventually_within(within, "all is done", async || world.is_quiet().await)
            .await;
    };
    tokio::select! {
        never = refuse_half(&world.tenant) => match never {},
        () = earned => {}
    }
    let (calls, refused) = calls(&world, 4);
    println!("{calls} calls for 4 users, {refused} refused");
    assert!(calls <= 28 && refused >= 3, "{calls} calls, {refused} refused");
}

#[tokio::test]
async fn f11_a_limit_that_halves_is_learnt_from_the_headers() {
    let world = crossing(RatePlan::Global(PLAN), 150).await;
    written(&world, 20).await;
    let half = Rate::new(PLAN.burst / 2, PLAN.per_second / 2.0);
    world.tenant.change_plan(RatePlan::Global(half));
    world.settled().await;
    let (calls, refused) = calls(&world, 150);
    println!("{calls} calls for 150 users, {refused} refused");
    assert!(refused <= 15 && calls <= 330, "{calls} calls, {refused} refused");
}
