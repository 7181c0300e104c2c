//! Roles that are earned and lost, with calls that fail.

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};

use super::attempts::settled_holder;
use super::run::{Place, kill_each};
use crate::world::events::plays;
use crate::world::oracle::ROLE;
use crate::world::{CLIENT, World, size, user};

/// The user earns the role and loses it.
async fn earned_and_lost(place: &Place, name: &str) {
    let world = &place.world;
    world.played(name, 60).await;
    world
        .publish(&plays(&format!("{name}-more"), &format!("pl_{name}"), 0..40))
        .await;
    place.until(async || world.has(name, ROLE)).await;
    world.retracted(name, 0..1).await;
    place.until(async || !world.has(name, ROLE)).await;
}

#[tokio::test]
async fn kills_while_a_role_is_earned_and_lost() {
    kill_each("a role", World::builder(), true, async |place, n| {
        earned_and_lost(place, &format!("u{n}")).await;
    })
    .await;
}

/// The same; the first write of the user meets a 429, the first read after it a 500.
async fn failing_calls(place: &Place, name: &str) {
    let tenant = &place.world.tenant;
    let call = |endpoint| CallMatch::to(endpoint).client(CLIENT).user(user(name));
    tenant.fault_once(call(Endpoint::PatchUser), Fault::status(429));
    tenant.fault_once(call(Endpoint::ReadUser), Fault::status(500));
    earned_and_lost(place, name).await;
}

#[tokio::test]
async fn kills_while_calls_fail() {
    kill_each("failed calls", World::builder(), true, async |place, n| {
        failing_calls(place, &format!("u{n}")).await;
    })
    .await;
}

/// A day passes, and each holder is read again.
#[tokio::test]
async fn kills_while_holders_are_verified() {
    kill_each("a verification", World::builder(), true, async |place, n| {
        let (world, name) = (&place.world, format!("u{n}"));
        settled_holder(place, &name).await;
        world
            .run_sql("UPDATE assignments SET verified_at = verified_at - interval '25 hours'")
            .await;
    })
    .await;
}

/// No record of any write arrives.
#[tokio::test]
async fn kills_while_records_are_withheld() {
    // Only in a long run: the points are the same.
    if size(0, 1) == 0 {
        return;
    }
    kill_each("a role", World::builder(), false, async |place, n| {
        earned_and_lost(place, &format!("u{n}")).await;
    })
    .await;
    kill_each("failed calls", World::builder(), false, async |place, n| {
        failing_calls(place, &format!("u{n}")).await;
    })
    .await;
}
