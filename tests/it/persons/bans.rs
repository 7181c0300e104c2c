//! Bans of persons with several ids: no link, move or deletion that a user makes frees a person, and an undone move bans no other.

use serde_json::{Value, json};

use crate::world::World;
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, app};

/// The ids that a person had.
const OLD: &str = "auth0|old";
const OLDER: &str = "auth0|older";
/// The account since, or that of another person, named by mistake.
const NEW: &str = "auth0|new";

/// A holder of the role by an own playlist, and two accounts without one.
async fn holder(user: &str) -> World {
    let world = World::start().await;
    world.connect_log_stream().await;
    for account in [user, NEW, ANN] {
        world.seed_user(account, &[]);
    }
    world.earn(user, "pl_old").await;
    world.rests_with(user, &[ROLE]).await;
    world
}

async fn ban(world: &World, user: &str) {
    world.told(&["pin", user, ROLE, "off", "--why", "spam"]).await;
    world.rests_with(user, &[]).await;
}

async fn undone(world: &World, old: &str, new: &str) {
    let undo = ["move", old, new, "--undo", "--why", "a typing error"];
    world.told(&undo).await;
}

/// The user signs up, also once more under an id that was deleted.
async fn signs_up(world: &World, user: &str) {
    world.tenant.create_user(user, json!({})).expect("a new user");
    world.tenant.login(user).expect("a login");
    let read = "SELECT user_id FROM users WHERE fetched_at IS NOT NULL AND gone_at IS NULL";
    world
        .eventually("the account was read", async || {
            world.rows(read).await.contains(&json!({"user_id": user}))
        })
        .await;
    world.quiet().await;
}

async fn pins(world: &World) -> Vec<Value> {
    world
        .rows("SELECT user_id, state FROM pins ORDER BY user_id")
        .await
}

/// F58: a pin, a ban, a removal by hand under each `manual`, across links, erasures, rule changes: as the pin says.
#[tokio::test]
async fn f58_a_ban_that_came_with_a_move_outlasts_a_link_and_its_end() {
    let world = holder(OLD).await;
    ban(&world, OLD).await;
    world.deleted_and_moved(OLD, NEW).await;
    world.linked(1).await;
    world.tenant.link(app(), ANN, NEW).unwrap();
    world.linked(2).await;
    world.earn(ANN, "pl_ann").await;
    world.quiet().await;
    assert!(world.roles(ANN).is_empty(), "one person");
    world.tenant.unlink(app(), ANN, NEW).unwrap();
    world.linked(1).await;
    world.quiet().await;
    assert!(world.roles(ANN).is_empty(), "the account that was banned");
    assert!(world.roles(NEW).is_empty(), "and the one that left it");
}

#[tokio::test]
async fn a_ban_holds_for_a_moved_id_that_signs_up_again() {
    let world = holder(OLD).await;
    ban(&world, OLD).await;
    world.deleted_and_moved(OLD, NEW).await;
    world.linked(1).await;
    assert!(world.tenant.delete_user(NEW));
    world.linked(0).await;
    signs_up(&world, OLD).await;
    assert!(world.roles(OLD).is_empty());
    signs_up(&world, NEW).await;
    world.earn(NEW, "pl_new").await;
    world.quiet().await;
    assert!(world.roles(NEW).is_empty());
    assert!(world.roles(OLD).is_empty());
}

#[tokio::test]
async fn a_move_ends_when_the_old_id_is_an_account_again() {
    let world = holder(OLD).await;
    world.deleted_and_moved(OLD, NEW).await;
    world.rests_with(NEW, &[ROLE]).await;
    assert!(world.tenant.delete_user(NEW));
    world.linked(0).await;
    signs_up(&world, OLD).await;
    world.rests_with(OLD, &[ROLE]).await;
    let acts = world.told(&["acts"]).await;
    assert!(acts.contains("the old id is an account again"), "{acts}");
    signs_up(&world, NEW).await;
    world.rests_with(OLD, &[ROLE]).await;
    assert!(world.roles(NEW).is_empty());
    world.linked(0).await;
    let written = "SELECT count(*) FROM role_changes WHERE reason = 'moved'";
    assert_eq!(
        world.number(written).await,
        Some(0),
        "no change that was not made"
    );
    world.settled().await;
}

#[tokio::test]
async fn an_undone_move_of_a_chain_bans_no_other_person() {
    let world = holder(OLDER).await;
    world.seed_user(OLD, &[]);
    ban(&world, NEW).await;
    world.deleted_and_moved(OLDER, OLD).await;
    world.rests_with(OLD, &[ROLE]).await;
    world.deleted_and_moved(OLD, NEW).await;
    world.linked(2).await;
    undone(&world, OLD, NEW).await;
    world.linked(0).await;
    signs_up(&world, OLD).await;
    world.rests_with(OLD, &[ROLE]).await;
    assert_eq!(pins(&world).await, [json!({"user_id": NEW, "state": "off"})]);
    undone(&world, OLDER, OLD).await;
    world.rests_with(OLD, &[]).await;
}

#[tokio::test]
async fn a_pin_on_stays_through_a_wrong_move_to_a_banned_person() {
    let world = holder(OLDER).await;
    world.seed_user(OLD, &[]);
    ban(&world, NEW).await;
    world.deleted_and_moved(OLDER, OLD).await;
    world.rests_with(OLD, &[ROLE]).await;
    world.told(&["pin", OLD, ROLE, "on", "--why", "a guest"]).await;
    world.deleted_and_moved(OLD, NEW).await;
    world.linked(2).await;
    undone(&world, OLD, NEW).await;
    world.linked(0).await;
    undone(&world, OLDER, OLD).await;
    signs_up(&world, OLD).await;
    world.rests_with(OLD, &[ROLE]).await;
    let own = [
        json!({"user_id": NEW, "state": "off"}),
        json!({"user_id": OLD, "state": "on"}),
    ];
    assert_eq!(pins(&world).await, own);
}
