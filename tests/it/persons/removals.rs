//! Removals by hand (`manual = "respect"`) of persons with several ids: no link and no unlink loses one that is held, or that waits
//! for its record.

use serde_json::json;

use crate::world::World;
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE};
use crate::world::rules::{RulesFile, rule};

/// The account of another person, named by mistake.
const OTHER: &str = "auth0|other";
const HELD: &str = "SELECT count(*) FROM removals WHERE state = 'held'";
const PINNED: &str = "SELECT count(*) FROM pins WHERE state = 'off' AND log_id IS NOT NULL";

/// Two accounts under a rule that respects removals, at most `most` of them at once; the second has the role.
async fn two_accounts(most: f64) -> (World, RulesFile) {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "manual = \"respect\""));
    let builder = World::builder().env("RULES_FILE", file.path().display());
    let builder = builder
        .limit("brake_revokes", most)
        .limit("brake_revokes_share", 0.0);
    let world = builder.start().await;
    world.connect_log_stream().await;
    world.two_accounts_here().await;
    (world, file)
}

/// As [`two_accounts`], linked: the first has the role.
async fn linked(most: f64) -> (World, RulesFile) {
    let (world, file) = two_accounts(most).await;
    world.link();
    world.role_follows().await;
    world.quiet().await;
    (world, file)
}

/// A person in the dashboard, or a script, removes the role.
fn remove(world: &World, user: &str, roles: &[&str]) {
    let without = json!({"app_metadata": {"roles": roles}});
    world
        .tenant
        .edit_by_other_client("crm", user, without)
        .expect("an edit");
}

async fn paused(world: &World) {
    world.told(&["pause", "--why", "a story"]).await;
}

async fn resumed(world: &World) {
    world.told(&["resume", "--why", "a story"]).await;
}

/// F58: a pin, a ban, a removal by hand under each `manual`, across links, erasures, rule changes: as the pin says.
#[tokio::test]
async fn f58_a_removal_outlasts_a_link_made_before_it_is_read() {
    let (world, _file) = two_accounts(100.0).await;
    paused(&world).await;
    remove(&world, GOOGLE, &[]);
    world.link();
    let known = "SELECT count(*) FROM foreign_writes WHERE user_id = 'google-oauth2|7'";
    world.count_is("the record is folded", known, 1).await;
    resumed(&world).await;
    world.count_is("the person is pinned off", PINNED, 1).await;
    world.linked(1).await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor"]);
    assert_eq!(world.number("SELECT count(*) FROM removals").await, Some(0));
    world.told(&["unpin", ANN, ROLE, "--why", "an appeal"]).await;
    world.role_follows().await;
}

#[tokio::test]
async fn f58_a_removal_outlasts_an_unlink_made_before_it_is_read() {
    let (world, _file) = linked(100.0).await;
    paused(&world).await;
    remove(&world, ANN, &["mentor"]);
    world.unlink();
    resumed(&world).await;
    world
        .count_is("the id with the plays is pinned off", PINNED, 1)
        .await;
    world.linked(0).await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor"]);
    assert!(world.roles(GOOGLE).is_empty());
    world.told(&["unpin", GOOGLE, ROLE, "--why", "an appeal"]).await;
    world.rests_with(GOOGLE, &[ROLE]).await;
}

#[tokio::test]
async fn f58_a_removal_held_before_a_link_is_granted_again_by_drop() {
    let (world, _file) = two_accounts(0.0).await;
    remove(&world, GOOGLE, &[]);
    world.count_is("it is held", HELD, 1).await;
    world.quiet().await;
    world.link();
    world.linked(1).await;
    world.quiet().await;
    let shown = world.told(&["brake"]).await;
    assert!(shown.contains(ANN), "{shown}");
    assert_eq!(world.roles(ANN), ["mentor"]);
    world.told(&["brake", "drop", "removals"]).await;
    world.role_follows().await;
    world.quiet().await;
    world.unlink();
    world.rests_with(GOOGLE, &[ROLE]).await;
}

#[tokio::test]
async fn f58_a_removal_held_before_an_unlink_is_held_for_both() {
    for way in ["drop", "release"] {
        let (world, _file) = linked(0.0).await;
        remove(&world, ANN, &["mentor"]);
        world.count_is("it is held", HELD, 1).await;
        world.quiet().await;
        world.unlink();
        world.linked(0).await;
        world.count_is("it is held for both", HELD, 2).await;
        world.quiet().await;
        assert!(world.roles(GOOGLE).is_empty());
        world.told(&["brake", way, "removals"]).await;
        if way == "drop" {
            world.rests_with(GOOGLE, &[ROLE]).await;
        } else {
            world.count_is("both are pinned off", PINNED, 2).await;
            world.quiet().await;
            assert!(world.roles(GOOGLE).is_empty());
        }
    }
}

#[tokio::test]
async fn a_held_removal_goes_back_with_an_undone_move() {
    let (world, _file) = two_accounts(0.0).await;
    remove(&world, GOOGLE, &[]);
    world.count_is("it is held", HELD, 1).await;
    world.seed_user(OTHER, &[]);
    world.deleted_and_moved(GOOGLE, OTHER).await;
    world.linked(1).await;
    world.quiet().await;
    assert!(world.roles(OTHER).is_empty());
    let undo = ["move", GOOGLE, OTHER, "--undo", "--why", "a typing error"];
    world.told(&undo).await;
    world.linked(0).await;
    world.quiet().await;
    let held = world.rows("SELECT user_id, state FROM removals").await;
    assert_eq!(held, [json!({"user_id": GOOGLE, "state": "held"})]);
    world.told(&["move", GOOGLE, ANN, "--why", "the right one"]).await;
    world.linked(1).await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor"]);
    world.told(&["brake", "drop", "removals"]).await;
    world.role_follows().await;
}
