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

/// Whether a read of the user showed an earlier state.
fn read_stale(world: &World, name: &str) -> bool {
    let calls = world.calls_of(&user(name));
    calls.iter().any(|call| call.fault == Some("stale"))
}

/// Reads show the user as before the last write, until one of the next worker did, or none is needed. Auth0 promises that no read
/// does.
#[tokio::test]
async fn kills_while_reads_are_stale() {
    let place = Place::start(World::builder(), true).await;
    place.next_worker().await;
    let (world, mut faults) = (&place.world, Vec::new());
    for (n, point) in (0..).zip(table::points_of("a role")) {
        let name = format!("u{n}");
        let call = CallMatch::to(Endpoint::ReadUser).client(CLIENT).user(user(&name));
        world.tenant.hold_fault(call, Fault::Stale);
        let act = async || earned_and_lost(&place, &name).await;
        assert!(place.passes(point, "kill", act).await, "{point}: not reached");
        place.dead().await;
        place.next_worker().await;
        let far = async || read_stale(world, &name) || world.is_quiet().await;
        world.eventually("a read is stale, or none is needed", far).await;
        world.tenant.clear_faults();
        let wrong = place.wrong().await;
        faults.extend(wrong.into_iter().map(|wrong| format!("{point}: {wrong}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
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
