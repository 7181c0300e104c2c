//! Accounts that are linked, deleted and unknown, and other clients.

use std::collections::BTreeMap;
use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::PatchUser;
use rolekeeper_sandbox::tenant::{CallMatch, Fault};
use serde_json::json;

use super::attempts::{resting_holder, settled_holder};
use super::run::{Place, kill_each};
use super::table;
use crate::world::erasure::{self, KEY};
use crate::world::events::plays;
use crate::world::oracle::ROLE;
use crate::world::persons::app;
use crate::world::races::{race, stream_logs};
use crate::world::{World, user};

/// Two accounts, each known; the second earns the role.
async fn two_accounts(place: &Place, n: u32) -> (String, String) {
    let world = &place.world;
    let (primary, alias) = (user(&format!("p{n}")), format!("google-oauth2|{n}"));
    world.seed_user(&primary, &["mentor"]);
    world.seed_user(&alias, &[]);
    for one in [&primary, &alias] {
        world.tenant.login(one).expect("a login");
    }
    world.earn(&alias, &format!("pl_{n}")).await;
    place.until(async || world.roles(&alias) == [ROLE]).await;
    place.until(async || world.is_quiet().await).await;
    (primary, alias)
}

/// The same, linked: the primary holds the role.
async fn linked(place: &Place, n: u32) -> (String, String) {
    let (primary, alias) = two_accounts(place, n).await;
    let world = &place.world;
    world.tenant.link(app(), &primary, &alias).expect("a link");
    place
        .until(async || world.roles(&primary).contains(&ROLE.to_owned()))
        .await;
    place.until(async || world.is_quiet().await).await;
    (primary, alias)
}

#[tokio::test]
async fn kills_while_accounts_are_linked() {
    kill_each("a link", World::builder(), true, async |place: &Place, n| {
        let (_, alias) = linked(place, n).await;
        let world = &place.world;
        // A record names the linked id.
        read_next(world, &alias).await;
    })
    .await;
}

/// No record tells of the link; the linked id is unknown at Auth0.
#[tokio::test]
async fn kills_while_a_primary_is_searched() {
    kill_each(
        "an unknown link",
        World::builder(),
        true,
        async |place: &Place, n| {
            let (primary, alias) = two_accounts(place, n).await;
            let world = &place.world;
            world.tenant.silence(true);
            world.tenant.link(app(), &primary, &alias).expect("a link");
            world.tenant.silence(false);
            world
                .run_sql("UPDATE assignments SET verified_at = verified_at - interval '25 hours'")
                .await;
            place
                .until(async || world.roles(&primary).contains(&ROLE.to_owned()))
                .await;
        },
    )
    .await;
}

#[tokio::test]
async fn kills_while_an_account_is_deleted() {
    kill_each(
        "a deleted account",
        World::builder(),
        true,
        async |place: &Place, n| {
            let (primary, _) = linked(place, n).await;
            let world = &place.world;
            assert!(world.tenant.delete_user(&primary));
            world
                .publish(&plays(&format!("more-{n}"), &format!("pl_{n}"), 0..3))
                .await;
        },
    )
    .await;
}

/// The brake holds the deletion until the operator releases it.
#[tokio::test]
async fn kills_while_a_deletion_is_held() {
    kill_each(
        "a held deletion",
        World::builder(),
        true,
        async |place: &Place, n| {
            let (world, name) = (&place.world, format!("u{n}"));
            settled_holder(place, &name).await;
            world.run_sql("UPDATE gone_brake SET engaged_at = now()").await;
            assert!(world.tenant.delete_user(&user(&name)));
            place.until(async || false).await;
            world.command(&["brake", "release", "gone"]).await;
        },
    )
    .await;
}

/// Another client writes between our read and our write.
#[tokio::test]
async fn kills_while_a_record_is_confirmed() {
    kill_each("a race", World::builder(), true, async |place: &Place, n| {
        let world = &place.world;
        let worker = world.worker();
        place.until(async || worker.is_ready().await).await;
        stream_logs(world).await;
        race(world, &user(&format!("u{n}")), &["vip", "mentor"]).await;
    })
    .await;
}

/// The user signed up again, which no record says, before the days until the erasure had passed.
#[tokio::test]
async fn kills_while_a_deleted_user_is_found_again() {
    let builder = World::builder()
        .env("ERASURE_KEY", KEY)
        .env("ERASE_AFTER_DELETION_D", 1);
    kill_each(
        "a deleted user who is back",
        builder,
        true,
        async |place: &Place, n| {
            let (world, name) = (&place.world, user(&format!("u{n}")));
            world.played(&format!("u{n}"), 5).await;
            world.tenant.login(&name).expect("a login");
            place.until(async || world.is_quiet().await).await;
            assert!(world.tenant.delete_user(&name));
            let gone = "SELECT count(*) FROM users WHERE gone_since IS NOT NULL";
            place.until(async || world.number(gone).await > Some(0)).await;
            world.tenant.silence(true);
            world.tenant.create_user(&name, json!({})).expect("a sign-up");
            world.tenant.silence(false);
            world
                .run_sql("UPDATE users SET gone_since = gone_since - interval '31 days'")
                .await;
        },
    )
    .await;
}

/// Longer than a command takes, and shorter than the timeout of a call in these stories.
const LONG: Duration = Duration::from_secs(3);

/// Reads the user next.
async fn read_next(world: &World, user: &str) {
    sqlx::query("INSERT INTO work_queue (user_id, priority, force_fetch) VALUES ($1, 1, true)")
        .bind(user)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
}

/// Erased while a response is in flight; the role is written, and no row names her.
#[tokio::test]
async fn a_kill_after_the_write_of_an_erased_user() {
    let builder = erasure::world().env("AUTH0_TIMEOUT_S", 10);
    let place = Place::start(builder, true).await;
    place.next_worker().await;
    let world = &place.world;
    world.seed_user(erasure::ANN, &["mentor"]);
    let slow = CallMatch::to(PatchUser).user(erasure::ANN);
    world.tenant.fault_once(slow, Fault::DelayedAnswer(LONG));
    world.earn(erasure::ANN, "pl_1").await;
    let sent = async || world.tenant.faults_waiting() == 0;
    world.eventually("the write is in flight", sent).await;
    for point in table::points_of("an erasure during a write") {
        let erased = async || drop(erasure::erase(world).await);
        assert!(place.passes(point, "kill", erased).await, "{point}: not reached");
    }
    place.dead().await;
    place.next_worker().await;
    world.quiet().await;
    assert_eq!(erasure::named(world).await, BTreeMap::new());
    resting_holder(&place, "bob").await;
}

/// The write of a role reaches the account that was made again.
#[tokio::test]
async fn kills_while_a_write_reaches_another_account() {
    kill_each(
        "an account made again before a write",
        World::builder(),
        true,
        async |place: &Place, n| {
            let (world, name) = (&place.world, user(&format!("again{n}")));
            world.seed_user(&name, &["mentor"]);
            let late = Fault::Delay(Duration::from_millis(500));
            world
                .tenant
                .fault_once(CallMatch::to(PatchUser).user(&name), late);
            world.earn(&name, &format!("pl_again{n}")).await;
            place.until(async || !world.calls_of(&name).is_empty()).await;
            assert!(world.tenant.delete_user(&name));
            world.tenant.create_user(&name, json!({})).expect("a sign-up");
        },
    )
    .await;
}
