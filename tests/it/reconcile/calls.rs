//! The calls of reconciling at the tenant: only the necessary ones.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};
use rolekeeper_sandbox::tenant::TenantOptions;
use serde_json::json;

use crate::world::World;
use crate::world::events::{Sent, plays, retraction, saved};
use crate::world::oracle::ROLE;

#[tokio::test]
async fn a_role_change_costs_two_calls_and_a_repeat_none() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    assert_eq!(world.endpoints_of("auth0|ann"), [ReadUser, PatchUser]);

    // A second playlist reaches the threshold and the first falls below it: the user is enqueued twice, up to date and
    // just verified.
    world.earn("auth0|ann", "pl_2").await;
    world.settled().await;
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world.settled().await;
    assert_eq!(world.calls_of("auth0|ann").len(), 2);

    world.publish(&[retraction("r2", "pl_2-7", "pl_2")]).await;
    world.settled().await;
    assert_eq!(
        world.endpoints_of("auth0|ann"),
        [ReadUser, PatchUser, ReadUser, PatchUser]
    );
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);
}

/// Starts a user below the threshold; returns 10,000 events that cross it in both directions.
async fn flapper(world: &World) -> Vec<Sent> {
    world.seed_user("auth0|ann", &["mentor"]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..99)).await;
    world.settled().await;
    flaps(0..5_000)
}

/// Plays with these numbers, each with its retraction.
fn flaps(numbers: std::ops::Range<u32>) -> Vec<Sent> {
    let there_and_back = |n| {
        let play = format!("up-{n}");
        let down = retraction(&format!("down-{n}"), &play, "pl_1");
        [crate::world::events::play(&play, "pl_1"), down]
    };
    numbers.flat_map(there_and_back).collect()
}

/// The read of a profile takes as long as at Auth0.
fn tenant_far_away() -> TenantOptions {
    TenantOptions {
        latency: Duration::from_millis(30)..=Duration::from_millis(90),
        ..TenantOptions::default()
    }
}

/// F19: a count that goes 99, 100, 99, 10,000 times in a second: one call at most, and the right end.
#[tokio::test]
async fn f19_ten_thousand_flaps_cost_few_calls_and_end_right() {
    let world = World::builder().tenant(tenant_far_away()).start().await;
    let flaps = flapper(&world).await;
    let began = Instant::now();
    world.publish(&flaps).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);
    let (calls, took) = (world.calls_of("auth0|ann").len(), began.elapsed());
    println!("{calls} calls for 10,000 flaps in {took:?}");
    // An attempt has at most two calls, and a user who keeps flapping still gets an attempt every ten seconds.
    let looks = 1 + usize::try_from(took.as_secs() / 10).expect("seconds");
    assert!(calls <= 2 * looks, "{:?}", world.endpoints_of("auth0|ann"));
}

/// All of them are folded within a second.
#[tokio::test]
async fn f19_flaps_that_waited_cost_one_change_the_last_one_counts() {
    let world = World::start().await;
    let first = flapper(&world).await;
    world.worker().kill9().await;
    world.publish(&first).await;
    world.start_worker().await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);
    let calls = world.endpoints_of("auth0|ann");
    assert!(calls.len() <= 1, "{calls:?}");
    world.worker().kill9().await;
    world.publish(&flaps(5_000..10_000)).await;
    world.publish(&[crate::world::events::play("last", "pl_1")]).await;
    world.start_worker().await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", ROLE]);
    assert_eq!(
        world.endpoints_of("auth0|ann")[calls.len()..],
        [ReadUser, PatchUser]
    );
}

#[tokio::test]
async fn logins_cost_nothing_and_a_new_user_one_read() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    let sign_up = |user: &str| world.tenant.create_user(user, json!({"email": "a@example.com"}));
    sign_up("auth0|ann").expect("a sign-up");
    world.settled().await;
    assert_eq!(world.endpoints_of("auth0|ann"), [ReadUser]);
    for _ in 0..25 {
        world.tenant.login("auth0|ann").expect("a login");
    }
    world.settled().await;
    let known = world
        .number("SELECT count(*) FROM users WHERE last_login_at IS NOT NULL")
        .await;
    assert_eq!((known, world.api_calls()), (Some(1), 1));
}

#[tokio::test]
async fn the_echo_of_our_own_write_costs_no_call() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.connect_log_stream().await;
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    assert_eq!(world.tenant.logged_count(), 1, "the write left its record");
    assert_eq!(world.tenant.delivered_log_ids().len(), 1);
    assert_eq!(world.endpoints_of("auth0|ann"), [ReadUser, PatchUser]);

    let theirs = json!({"app_metadata": {"roles": ["mentor", ROLE, "guest"]}});
    let edited = world.tenant.edit_by_other_client("crm", "auth0|ann", theirs);
    edited.expect("an edit");
    world.settled().await;
    assert_eq!(world.endpoints_of("auth0|ann"), [ReadUser, PatchUser, ReadUser]);
}

#[tokio::test]
async fn no_write_leaves_things_as_they_were() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    let mut rng = StdRng::seed_from_u64(8);
    let users: Vec<String> = (0..20).map(|n| format!("auth0|u{n}")).collect();
    for (n, user) in users.iter().enumerate() {
        world.seed_user(user, &["mentor", "beta"][..n % 3]);
        world
            .publish(&[saved(&format!("s{n}"), &format!("pl_{n}"), user)])
            .await;
        world
            .publish(&plays(&format!("p{n}"), &format!("pl_{n}"), 0..99))
            .await;
    }
    for round in 0..200 {
        let n = rng.random_range(0..users.len());
        let (list, play) = (format!("pl_{n}"), format!("more-{round}"));
        world.publish(&[crate::world::events::play(&play, &list)]).await;
        match rng.random_range(0..4) {
            0 => drop(world.tenant.login(&users[n])),
            1 => {
                world
                    .publish(&[retraction(&format!("r{round}"), &play, &list)])
                    .await;
            }
            2 => {
                let note = json!({"app_metadata": {"note": round}});
                drop(world.tenant.edit_by_other_client("crm", &users[n], note));
            }
            _ => {}
        }
    }
    world.settled().await;
    assert!(world.patches() > 0);
    assert!(world.idle_writes().is_empty(), "{:?}", world.idle_writes());
}
