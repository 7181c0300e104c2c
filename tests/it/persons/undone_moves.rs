//! Moves that are undone: each id has its own again, and other moves stand.

use serde_json::json;

use crate::world::oracle::ROLE;
use crate::world::{World, text};

/// The ids that a person had.
const OLD: &str = "auth0|old";
const OLDER: &str = "auth0|older";
/// The account of another person, named by mistake.
const OTHER: &str = "auth0|other";

/// Holders of the role by their own playlists.
async fn holders(users: &[&str]) -> World {
    let world = World::start().await;
    world.connect_log_stream().await;
    for user in users {
        world.seed_user(user, &[]);
        world.earn(user, &format!("pl_{}", &user[6..])).await;
    }
    for user in users {
        has(&world, user, &[ROLE]).await;
    }
    world
}

/// Waits until everything is done, with these roles of the user.
async fn has(world: &World, user: &str, roles: &[&str]) {
    world
        .eventually("the user has the roles", async || {
            world.roles(user) == roles && world.is_quiet().await
        })
        .await;
}

/// The account is deleted, and its person moved.
async fn moved(world: &World, old: &str, new: &str) {
    assert!(world.tenant.delete_user(old));
    world.quiet().await;
    world.told(&["move", old, new, "--why", "a story"]).await;
}

async fn undone(world: &World, old: &str, new: &str) {
    let undo = ["move", old, new, "--undo", "--why", "a typing error"];
    world.told(&undo).await;
}

#[tokio::test]
async fn an_undone_move_leaves_an_earlier_one_in_force() {
    let world = holders(&[OLDER]).await;
    world.seed_user(OLD, &[]);
    world.seed_user(OTHER, &[]);
    moved(&world, OLDER, OLD).await;
    has(&world, OLD, &[ROLE]).await;
    moved(&world, OLD, OTHER).await;
    has(&world, OTHER, &[ROLE]).await;
    let direct = ["move", OLDER, OTHER, "--undo", "--why", "x"];
    let said = text(&world.command(&direct).await);
    assert!(said.contains("was moved to auth0|old"), "{said}");
    undone(&world, OLD, OTHER).await;
    has(&world, OTHER, &[]).await;
    world.tenant.create_user(OLD, json!({})).unwrap();
    has(&world, OLD, &[ROLE]).await;
    undone(&world, OLDER, OLD).await;
    has(&world, OLD, &[]).await;
}

#[tokio::test]
async fn an_earlier_move_is_undone_beneath_a_later_one() {
    let world = holders(&[OLDER]).await;
    world.seed_user(OLD, &[]);
    world.seed_user(OTHER, &[]);
    moved(&world, OLDER, OLD).await;
    has(&world, OLD, &[ROLE]).await;
    moved(&world, OLD, OTHER).await;
    has(&world, OTHER, &[ROLE]).await;
    undone(&world, OLDER, OLD).await;
    has(&world, OTHER, &[]).await;
    world.linked(1).await;
}
