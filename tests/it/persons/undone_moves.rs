//! Moves that are undone: each id has its own again, with its pins and decisions, and earlier moves stand.

use serde_json::{Value, json};

use crate::world::events::{plays, saved};
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, app};
use crate::world::rules::{RulesFile, rule};
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
        world.rests_with(user, &[ROLE]).await;
    }
    world
}

async fn ban(world: &World, user: &str) {
    world.told(&["pin", user, ROLE, "off", "--why", "spam"]).await;
}

async fn undone(world: &World, old: &str, new: &str) -> String {
    let undo = ["move", old, new, "--undo", "--why", "a typing error"];
    world.told(&undo).await
}

async fn pins(world: &World) -> Vec<Value> {
    world
        .rows("SELECT user_id, state, why FROM pins ORDER BY user_id")
        .await
}

#[tokio::test]
async fn an_undone_move_gives_a_ban_back() {
    let world = holders(&[OLD, OTHER]).await;
    ban(&world, OLD).await;
    world.rests_with(OLD, &[]).await;
    let said = world.deleted_and_moved(OLD, OTHER).await;
    assert!(said.contains("playlist_editor off (spam)"), "{said}");
    world.rests_with(OTHER, &[]).await;
    let said = undone(&world, OLD, OTHER).await;
    assert!(said.contains("playlist_editor off (spam)"), "{said}");
    world.rests_with(OTHER, &[ROLE]).await;
    let ban = json!({"user_id": OLD, "state": "off", "why": "spam"});
    assert_eq!(pins(&world).await, [ban]);
    world.tenant.create_user(OLD, json!({})).unwrap();
    world.quiet().await;
    world.rests_with(OLD, &[]).await;
}

#[tokio::test]
async fn an_undone_move_leaves_each_id_its_own_pin() {
    let world = holders(&[OLD]).await;
    ban(&world, OLD).await;
    world.seed_user(OTHER, &[]);
    world.told(&["pin", OTHER, ROLE, "on", "--why", "a guest"]).await;
    world.rests_with(OTHER, &[ROLE]).await;
    world.deleted_and_moved(OLD, OTHER).await;
    world.rests_with(OTHER, &[]).await;
    undone(&world, OLD, OTHER).await;
    world.rests_with(OTHER, &[ROLE]).await;
    let own = [
        json!({"user_id": OLD, "state": "off", "why": "spam"}),
        json!({"user_id": OTHER, "state": "on", "why": "a guest"}),
    ];
    assert_eq!(pins(&world).await, own);
}

#[tokio::test]
async fn a_ban_stays_with_the_other_moved_id() {
    let world = holders(&[OLD, OLDER, OTHER]).await;
    ban(&world, OLD).await;
    ban(&world, OLDER).await;
    world.deleted_and_moved(OLD, OTHER).await;
    world.deleted_and_moved(OLDER, OTHER).await;
    world.linked(2).await;
    world.rests_with(OTHER, &[]).await;
    undone(&world, OLD, OTHER).await;
    world.linked(1).await;
    world.rests_with(OTHER, &[]).await;
    undone(&world, OLDER, OTHER).await;
    world.rests_with(OTHER, &[ROLE]).await;
    assert_eq!(pins(&world).await.len(), 2, "each old id has its own");
}

#[tokio::test]
async fn a_pin_that_the_operator_changed_since_stays() {
    let world = holders(&[OLD, OTHER]).await;
    ban(&world, OLD).await;
    world.deleted_and_moved(OLD, OTHER).await;
    world.rests_with(OTHER, &[]).await;
    world.told(&["unpin", OLD, ROLE, "--why", "no spam"]).await;
    world.rests_with(OTHER, &[ROLE]).await;
    world.told(&["pin", OTHER, ROLE, "on", "--why", "a guest"]).await;
    // The operator bans the old id once more, then the account.
    ban(&world, OLD).await;
    world.rests_with(OTHER, &[]).await;
    world.told(&["pin", OTHER, ROLE, "off", "--why", "abuse"]).await;
    undone(&world, OLD, OTHER).await;
    world.linked(0).await;
    world.quiet().await;
    let own = [
        json!({"user_id": OLD, "state": "off", "why": "spam"}),
        json!({"user_id": OTHER, "state": "off", "why": "abuse"}),
    ];
    assert_eq!(pins(&world).await, own);
}

#[tokio::test]
async fn a_ban_follows_the_right_move_after_an_undone_one() {
    let world = holders(&[OLD, OTHER]).await;
    world.seed_user(ANN, &[]);
    ban(&world, OLD).await;
    world.deleted_and_moved(OLD, OTHER).await;
    world.rests_with(OTHER, &[]).await;
    undone(&world, OLD, OTHER).await;
    world.linked(0).await;
    world.told(&["move", OLD, ANN, "--why", "the right one"]).await;
    world.linked(1).await;
    world.rests_with(OTHER, &[ROLE]).await;
    world.rests_with(ANN, &[]).await;
    let ban = [json!({"user_id": OLD, "state": "off", "why": "spam"})];
    assert_eq!(pins(&world).await, ban);
    undone(&world, OLD, ANN).await;
    world.linked(0).await;
    assert_eq!(pins(&world).await, ban);
}

#[tokio::test]
async fn a_move_is_undone_behind_a_link() {
    let world = holders(&[OLD, OTHER]).await;
    world.seed_user(ANN, &["mentor"]);
    world.tenant.login(ANN).unwrap();
    ban(&world, OLD).await;
    world.told(&["pin", OTHER, ROLE, "on", "--why", "a guest"]).await;
    world.deleted_and_moved(OLD, OTHER).await;
    world.rests_with(OTHER, &[]).await;
    world.tenant.link(app(), ANN, OTHER).unwrap();
    world.linked(2).await;
    world.rests_with(ANN, &["mentor"]).await;
    undone(&world, OLD, OTHER).await;
    world.rests_with(ANN, &["mentor", ROLE]).await;
    let own = [
        json!({"user_id": OLD, "state": "off", "why": "spam"}),
        json!({"user_id": OTHER, "state": "on", "why": "a guest"}),
    ];
    assert_eq!(pins(&world).await, own);
}

#[tokio::test]
async fn a_role_given_by_hand_stays_after_an_undone_move() {
    let world = holders(&[OLD]).await;
    world.seed_user(OTHER, &[ROLE]);
    world.tenant.login(OTHER).unwrap();
    let by_hand =
        "SELECT count(*) FROM assignments WHERE user_id = 'auth0|other' AND has_role AND NOT adopted";
    world.count_is("it counts as given by hand", by_hand, 1).await;
    world.deleted_and_moved(OLD, OTHER).await;
    world.count_is("the role is ours", by_hand, 0).await;
    undone(&world, OLD, OTHER).await;
    world
        .count_is("it counts as given by hand again", by_hand, 1)
        .await;
    world.rests_with(OTHER, &[ROLE]).await;
}

#[tokio::test]
async fn a_decision_of_the_moved_id_ends_with_the_move() {
    let rules = RulesFile::new(&rule(ROLE, 100, 50, "of = \"all_playlists\""));
    let builder = World::builder().env("RULES_FILE", rules.path().display());
    let world = builder.start().await;
    world.connect_log_stream().await;
    world.seed_user(OLD, &[]);
    world.seed_user(OTHER, &[]);
    world.earn(OLD, "pl_old").await;
    world.publish(&[saved("s-other", "pl_other", OTHER)]).await;
    world.publish(&plays("other", "pl_other", 0..60)).await;
    world.rests_with(OLD, &[ROLE]).await;
    world.deleted_and_moved(OLD, OTHER).await;
    world.rests_with(OTHER, &[ROLE]).await;
    undone(&world, OLD, OTHER).await;
    world.rests_with(OTHER, &[]).await;
}

#[tokio::test]
async fn an_undone_move_leaves_an_earlier_one_in_force() {
    let world = holders(&[OLDER]).await;
    world.seed_user(OLD, &[]);
    world.seed_user(OTHER, &[]);
    world.deleted_and_moved(OLDER, OLD).await;
    world.rests_with(OLD, &[ROLE]).await;
    world.deleted_and_moved(OLD, OTHER).await;
    world.rests_with(OTHER, &[ROLE]).await;
    let direct = ["move", OLDER, OTHER, "--undo", "--why", "x"];
    let said = text(&world.command(&direct).await);
    assert!(said.contains("was moved to auth0|old"), "{said}");
    undone(&world, OLD, OTHER).await;
    world.rests_with(OTHER, &[]).await;
    world.tenant.create_user(OLD, json!({})).unwrap();
    world.rests_with(OLD, &[ROLE]).await;
    undone(&world, OLDER, OLD).await;
    world.rests_with(OLD, &[]).await;
}

#[tokio::test]
async fn an_earlier_move_is_undone_beneath_a_later_one() {
    let world = holders(&[OLDER]).await;
    world.seed_user(OLD, &[]);
    world.seed_user(OTHER, &[]);
    world.deleted_and_moved(OLDER, OLD).await;
    world.rests_with(OLD, &[ROLE]).await;
    world.deleted_and_moved(OLD, OTHER).await;
    world.rests_with(OTHER, &[ROLE]).await;
    undone(&world, OLDER, OLD).await;
    world.rests_with(OTHER, &[]).await;
    world.linked(1).await;
}
