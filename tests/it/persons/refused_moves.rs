//! Moves of a person that are refused, each with its reason; nothing is stored.

use serde_json::json;

use crate::world::erasure::KEY;
use crate::world::events::saved;
use crate::world::persons::{ANN, GOOGLE};
use crate::world::{World, text};

const MOVES: &str = "SELECT count(*) FROM moves";

async fn refused(world: &World, old: &str, new: &str, why: &str) {
    let before = world.number(MOVES).await;
    let output = world.command(&["move", old, new, "--why", "a story"]).await;
    let said = text(&output);
    assert!(!output.status.success() && said.contains(why), "{why}: {said}");
    assert_eq!(world.number(MOVES).await, before, "{why}");
}

/// Ann lives, her Google id is linked to her; some playlists have owners whom Auth0 does not know.
async fn world() -> World {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.connect_log_stream().await;
    world.two_accounts_here().await;
    world.link();
    world.linked(1).await;
    let owners = ["auth0|old", "auth0|older", "auth0|erased"];
    let lists = owners.map(|owner| {
        saved(
            &format!("s-{}", &owner[6..]),
            &format!("pl_{}", &owner[6..]),
            owner,
        )
    });
    world.publish(&lists).await;
    world.quiet().await;
    world
}

#[tokio::test]
async fn a_move_needs_an_old_id_that_is_gone_and_a_new_one_that_lives() {
    let world = world().await;
    world.seed_user("auth0|bob", &[]);
    refused(&world, ANN, "auth0|bob", "Auth0 still knows this user").await;
    refused(&world, GOOGLE, "auth0|bob", "is linked to auth0|ann at Auth0").await;
    refused(&world, GOOGLE, ANN, "follows the link without this command").await;
    refused(&world, "auth0|old", "auth0|nobody", "does not know this user").await;
    refused(&world, "auth0|old", GOOGLE, "name auth0|ann in its place").await;
    refused(&world, "auth0|typo", ANN, "nothing is stored about this user").await;
    refused(&world, ANN, ANN, "both ids are the same").await;
    refused(&world, "a\tb", ANN, "control characters").await;
    world.told(&["erase", "auth0|erased"]).await;
    refused(&world, "auth0|erased", ANN, "the user was erased").await;
    world.tenant.create_user("auth0|erased", json!({})).unwrap();
    refused(&world, "auth0|old", "auth0|erased", "rolekeeper readmit").await;
    let other = "https://other.eu.auth0.com/api/v2/";
    let stranger = world
        .command_with(
            &["move", "auth0|old", ANN, "--why", "x"],
            &[("AUTH0_AUDIENCE", other)],
        )
        .await;
    assert!(!stranger.status.success(), "{}", text(&stranger));
    assert!(
        text(&stranger).contains("the database belongs to"),
        "{}",
        text(&stranger)
    );
}

#[tokio::test]
async fn a_move_is_refused_to_two_ids_and_in_a_circle() {
    let world = world().await;
    world.seed_user("auth0|bob", &[]);
    world.told(&["move", "auth0|old", ANN, "--why", "a story"]).await;
    refused(&world, "auth0|old", "auth0|bob", "belongs to auth0|ann already").await;
    // The former id lives again, and the present one is gone.
    world.tenant.silence(true);
    world.tenant.create_user("auth0|old", json!({})).unwrap();
    assert!(world.tenant.delete_user(ANN));
    refused(&world, ANN, "auth0|old", "would be a circle").await;
    refused(
        &world,
        "auth0|older",
        "auth0|old",
        "name 'auth0|ann' in its place",
    )
    .await;
}

#[tokio::test]
async fn a_move_of_a_moved_id_leads_to_the_last_one() {
    let world = world().await;
    world.seed_user("auth0|mid", &[]);
    world
        .told(&["move", "auth0|older", "auth0|mid", "--why", "first"])
        .await;
    world.linked(2).await;
    world.seed_user("auth0|last", &[]);
    assert!(world.tenant.delete_user("auth0|mid"));
    world
        .told(&["move", "auth0|mid", "auth0|last", "--why", "second"])
        .await;
    let both = "SELECT count(*) FROM identities WHERE primary_id = 'auth0|last' AND alias IN ('auth0|mid', 'auth0|older')";
    world.count_is("both belong to the last", both, 2).await;
    assert!(world.tenant.delete_user("auth0|last"));
    world.quiet().await;
    let said = world.told(&["erase", "auth0|older"]).await;
    assert!(said.contains("auth0|last, auth0|mid, auth0|older"), "{said}");
}
