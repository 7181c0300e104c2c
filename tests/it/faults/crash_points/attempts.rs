//! Attempts that end in another way than with a written role.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};
use rolekeeper_sandbox::tenant::{CallMatch, Fault};
use serde_json::json;

use super::run::{Place, kill_each};
use crate::world::events::{play, retraction};
use crate::world::names::{by_default, request_name, store};
use crate::world::oracle::ROLE;
use crate::world::{CLIENT, World, user};

/// Shorter than the timeout of a call.
pub(super) const SLOW: Duration = Duration::from_millis(700);

/// The user earns the role, and the response to the next call is in flight.
pub(super) async fn in_flight(place: &Place, name: &str, endpoint: rolekeeper_sandbox::tenant::Endpoint) {
    let world = &place.world;
    let call = CallMatch::to(endpoint).client(CLIENT).user(user(name));
    world.tenant.fault_once(call, Fault::DelayedAnswer(SLOW));
    world.played(name, 100).await;
    place.until(async || world.tenant.faults_waiting() == 0).await;
}

pub(super) async fn holder(place: &Place, name: &str) {
    place.world.played(name, 100).await;
    place.until(async || place.world.has(name, ROLE)).await;
}

/// The same, and nothing is left to do.
pub(super) async fn settled_holder(place: &Place, name: &str) {
    holder(place, name).await;
    place.until(async || place.world.is_quiet().await).await;
}

/// The same, while no point is armed.
pub(super) async fn resting_holder(place: &Place, name: &str) {
    let world = &place.world;
    world.played(name, 100).await;
    world.holders_are("the role is there", &[name], &[name]).await;
    world.quiet().await;
}

/// The count must flap while the profile is read, so several users try.
#[tokio::test]
async fn kills_while_a_count_flaps() {
    kill_each(
        "a flapping count",
        World::builder(),
        true,
        async |place: &Place, n| {
            for one in 0..5 {
                let (world, name) = (&place.world, format!("u{n}-{one}"));
                in_flight(place, &name, ReadUser).await;
                for turn in 0..4 {
                    let (again, of) = (format!("{name}-again-{turn}"), format!("{name}-{turn}"));
                    let list = format!("pl_{name}");
                    let away = retraction(&format!("r-{again}"), &of, &list);
                    world.publish(&[away]).await;
                    world.publish(&[play(&again, &list)]).await;
                }
                place.until(async || world.is_quiet().await).await;
            }
        },
    )
    .await;
}

/// Roles that are no list park their user, until another client corrects them.
#[tokio::test]
async fn kills_while_a_user_is_parked() {
    kill_each(
        "a parked user",
        World::builder(),
        true,
        async |place: &Place, n| {
            let (world, name) = (&place.world, format!("u{n}"));
            world.played(&name, 0).await;
            let roles = |roles| json!({"app_metadata": {"roles": roles}});
            let edit = |roles| {
                world
                    .tenant
                    .edit_unrecorded(&user(&name), roles)
                    .expect("an edit")
            };
            edit(roles(json!("mentor")));
            world
                .publish(&crate::world::events::plays(&name, &format!("pl_{name}"), 0..100))
                .await;
            place.until(async || false).await;
            edit(roles(json!(["mentor"])));
            world
                .run_sql("UPDATE work_queue SET parked_at = NULL, force_fetch = true, due_at = now()")
                .await;
        },
    )
    .await;
}

#[tokio::test]
async fn kills_while_a_removed_role_is_restored() {
    kill_each(
        "a role removed by hand",
        World::builder(),
        true,
        async |place: &Place, n| {
            let (world, name) = (&place.world, format!("u{n}"));
            settled_holder(place, &name).await;
            let without = json!({"app_metadata": {"roles": ["mentor"]}});
            world
                .tenant
                .dashboard_edit(&user(&name), without)
                .expect("an edit");
            place.until(async || world.has(&name, ROLE)).await;
        },
    )
    .await;
}

/// Another attempt takes the user while the write is in flight.
#[tokio::test]
async fn kills_while_a_result_comes_late() {
    kill_each(
        "a late result",
        World::builder(),
        true,
        async |place: &Place, n| {
            for one in 0..5 {
                in_flight(place, &format!("u{n}-{one}"), PatchUser).await;
                place.end_leases().await;
                place.until(async || place.world.is_quiet().await).await;
            }
        },
    )
    .await;
}

/// A role and a name in one write, which Auth0 first refuses for the name.
#[tokio::test]
async fn kills_while_a_name_is_refused() {
    kill_each("a name", by_default(), true, async |place: &Place, n| {
        let (world, name) = (&place.world, format!("u{n}"));
        let call = CallMatch::to(PatchUser).client(CLIENT).user(user(&name));
        world.tenant.fault_once(call, Fault::status(400));
        world.seed_user(&user(&name), &["mentor"]);
        request_name(&store(world), &user(&name), "Sam").await;
        world.earn(&user(&name), &format!("pl_{name}")).await;
        place.until(async || world.has(&name, ROLE)).await;
    })
    .await;
}

/// The credentials are refused for a while.
#[tokio::test]
async fn kills_while_the_circuit_breaker_closes() {
    kill_each(
        "the circuit breaker",
        World::builder(),
        true,
        async |place: &Place, n| {
            let world = &place.world;
            world
                .tenant
                .hold_fault(CallMatch::to(ReadUser), Fault::status(401));
            for one in 0..4 {
                world.played(&format!("u{n}-{one}"), 100).await;
            }
            let worker = world.worker();
            place
                .until(async || {
                    worker.log().contains("circuit breaker") || worker.log().contains("reconcile is paused")
                })
                .await;
            world.tenant.clear_faults();
            place.until(async || world.is_quiet().await).await;
        },
    )
    .await;
}
