//! Ids that were linked to a deleted account: they follow its move, return at its end, and stay apart once Auth0 knows them.

use serde_json::json;

use crate::world::World;
use crate::world::erasure::KEY;
use crate::world::events::saved;
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE};

/// The account since, and another one.
const NEW: &str = "auth0|new";
const RIGHT: &str = "auth0|right";

/// The role was earned by the linked id; the account of both is deleted and moved to a new one, which owns a playlist.
async fn moved() -> World {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.connect_log_stream().await;
    world.two_accounts_here().await;
    world.link();
    world.role_follows().await;
    for user in [NEW, RIGHT] {
        world.seed_user(user, &[]);
        world.tenant.login(user).expect("a login");
    }
    world.publish(&[saved("s-new", "pl_new", NEW)]).await;
    world.quiet().await;
    world.deleted_and_moved(ANN, NEW).await;
    world.rests_with(NEW, &[ROLE]).await;
    world
}

async fn undone(world: &World) {
    world
        .told(&["move", ANN, NEW, "--undo", "--why", "a typing error"])
        .await;
}

fn signs_up(world: &World, user: &str) {
    world.tenant.create_user(user, json!({})).expect("a new user");
    world.tenant.login(user).expect("a login");
}

#[tokio::test]
async fn an_id_that_came_along_is_another_account_later() {
    let world = moved().await;
    assert!(world.tenant.delete_user(NEW));
    world.linked(0).await;
    signs_up(&world, ANN);
    let acts =
        "SELECT count(*) FROM operator_acts WHERE outcome LIKE 'the move ended: the old id is an account%'";
    world.count_is("the move has ended", acts, 1).await;
    signs_up(&world, GOOGLE);
    world.rests_with(GOOGLE, &[ROLE]).await;
    assert!(world.roles(ANN).is_empty(), "another account");
    world.linked(0).await;
    let own = "SELECT count(*) FROM own_decisions";
    assert_eq!(world.number(own).await, Some(0), "nothing is kept of the move");
}

#[tokio::test]
async fn ids_that_came_along_follow_the_right_move_too() {
    let world = moved().await;
    undone(&world).await;
    world.linked(0).await;
    world.rests_with(NEW, &[]).await;
    let said = world.told(&["move", ANN, RIGHT, "--why", "the right one"]).await;
    assert!(said.contains("google-oauth2|7: was linked to"), "{said}");
    world.rests_with(RIGHT, &[ROLE]).await;
}

#[tokio::test]
async fn an_erasure_after_an_undone_move_takes_linked_ids() {
    let world = moved().await;
    undone(&world).await;
    world.linked(0).await;
    world.quiet().await;
    let export = world.told(&["export", ANN]).await;
    assert!(export.contains("pl_google"), "{export}");
    let said = world.told(&["erase", ANN]).await;
    assert!(said.starts_with("auth0|ann, google-oauth2|7: erased"), "{said}");
    let left = "SELECT count(*) FROM playlists WHERE owner_id IS NOT NULL";
    assert_eq!(world.number(left).await, Some(1), "that of the other person");
}

#[tokio::test]
async fn an_erasure_spares_the_account_of_an_undone_move() {
    let world = moved().await;
    assert!(world.tenant.delete_user(NEW));
    world.linked(0).await;
    world.quiet().await;
    undone(&world).await;
    world.quiet().await;
    let said = world.told(&["erase", GOOGLE]).await;
    assert!(said.starts_with("auth0|ann, google-oauth2|7: erased"), "{said}");
    assert!(world.told(&["export", NEW]).await.contains("pl_new"));
}

#[tokio::test]
async fn a_move_leaves_an_id_behind_that_auth0_knows() {
    let world = World::two_accounts().await;
    world.link();
    world.role_follows().await;
    world.seed_user(NEW, &[]);
    world.quiet().await;
    world.told(&["pause", "--why", "a story"]).await;
    world.unlink();
    assert!(world.tenant.delete_user(ANN));
    let said = world.told(&["move", ANN, NEW, "--why", "made again"]).await;
    let left = "google-oauth2|7: was linked to auth0|ann, and stays: Auth0 knows it as an account";
    assert!(said.contains(left), "{said}");
    world.told(&["resume", "--why", "a story"]).await;
    world.rests_with(GOOGLE, &[ROLE]).await;
    assert!(world.roles(NEW).is_empty());
    world.linked(1).await;
}
