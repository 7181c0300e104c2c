//! Roles that are earned and lost, with calls that fail.

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::json;

use super::attempts::{resting_holder, settled_holder};
use super::run::{Place, kill_each};
use super::table;
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

/// Another client took the role away, which no record says; the brake is asked for the grant, and the operator releases it.
#[tokio::test]
async fn a_kill_while_an_unexpected_change_is_asked_for() {
    let place = Place::start(World::builder(), true).await;
    place.next_worker().await;
    let world = &place.world;
    resting_holder(&place, "u").await;
    world
        .told(&["limits", "set", "brake_grants", "0", "--why", "a story"])
        .await;
    let without = json!({"app_metadata": {"roles": ["mentor"]}});
    for point in table::points_of("an unexpected change") {
        let removed = async || {
            world
                .tenant
                .edit_unrecorded(&user("u"), without.clone())
                .expect("an edit");
            world.run_sql("UPDATE assignments SET verified_at = NULL").await;
        };
        assert!(place.passes(point, "kill", removed).await, "{point}: not reached");
    }
    place.dead().await;
    place.next_worker().await;
    let released = async || {
        world
            .command(&["brake", "release", "grants", "--why", "a story"])
            .await;
        world.has("u", ROLE)
    };
    world.eventually("the role is granted again", released).await;
    let wrong = place.wrong().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
