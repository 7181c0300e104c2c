//! Pins of linked ids: each stays with its id, and counts for the person.
//!
//! F58: a pin, a ban, a removal by hand under each `manual`, across links, erasures, rule changes: as the pin says.

use serde_json::json;

use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE};
use crate::world::rules::{RulesFile, rule};
use crate::world::{World, text};

const COPIED: &str = "SELECT count(*) FROM pins WHERE user_id = 'auth0|ann' AND state = 'off'";

async fn ban(world: &World) {
    world.told(&["pin", GOOGLE, ROLE, "off", "--why", "a ban"]).await;
}

#[tokio::test]
async fn f58_a_pin_of_an_id_that_is_linked_counts_for_the_account() {
    let world = World::two_accounts().await;
    ban(&world).await;
    world
        .eventually("the ban is done", async || {
            world.roles(GOOGLE).is_empty() && world.is_quiet().await
        })
        .await;
    world.link();
    world.linked(1).await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor"], "the ban holds");
    let pins = world.told(&["pins", "--user", ANN]).await;
    assert!(pins.starts_with(GOOGLE), "{pins}");
}

#[tokio::test]
async fn f58_a_pin_of_a_linked_id_takes_effect_at_the_account() {
    let world = World::two_accounts().await;
    world.link();
    world.role_follows().await;
    ban(&world).await;
    world
        .eventually("the ban is done", async || world.roles(ANN) == ["mentor"])
        .await;
}

#[tokio::test]
async fn unpin_and_pin_name_the_id_that_still_has_a_pin() {
    let world = World::two_accounts().await;
    world.link();
    world.role_follows().await;
    ban(&world).await;
    let unpin = |id| ["unpin", id, ROLE, "--why", "an appeal"];
    let said = world.command(&unpin(ANN)).await;
    assert!(!said.status.success(), "{}", text(&said));
    let other = "google-oauth2|7, of the same person: playlist_editor is pinned off";
    assert!(text(&said).contains(other), "{}", text(&said));
    world.told(&["pin", ANN, ROLE, "off", "--why", "a ban"]).await;
    let said = world.told(&unpin(GOOGLE)).await;
    assert!(
        said.contains("rolekeeper unpin 'auth0|ann' playlist_editor"),
        "{said}"
    );
    let on = ["pin", GOOGLE, ROLE, "on", "--why", "a guest"];
    let said = text(&world.command(&on).await);
    assert!(
        said.contains("rolekeeper unpin 'auth0|ann' playlist_editor"),
        "{said}"
    );
    let said = world.told(&unpin(ANN)).await;
    assert!(said.contains("the rules decide"), "{said}");
    world.role_follows().await;
}

/// Waits until the id that was linked is an account of its own without the role.
async fn stays_banned(world: &World) {
    world.linked(0).await;
    world.quiet().await;
    assert!(world.roles(GOOGLE).is_empty(), "{:?}", world.roles(GOOGLE));
}

#[tokio::test]
async fn f58_a_ban_outlasts_a_link_and_its_end() {
    let world = World::two_accounts().await;
    ban(&world).await;
    world
        .eventually("the ban is done", async || world.roles(GOOGLE).is_empty())
        .await;
    world.link();
    world.linked(1).await;
    world.unlink();
    stays_banned(&world).await;
    world.count_is("the account is banned too", COPIED, 1).await;
    let acts = world.told(&["acts"]).await;
    assert!(acts.contains("linked to an id that is pinned off"), "{acts}");
    world.told(&["unpin", GOOGLE, ROLE, "--why", "an appeal"]).await;
    world
        .eventually("the role is back", async || world.roles(GOOGLE) == [ROLE])
        .await;
}

#[tokio::test]
async fn f58_a_ban_of_the_account_holds_for_an_id_that_leaves_it() {
    let world = World::two_accounts().await;
    world.link();
    world.role_follows().await;
    world.told(&["pin", ANN, ROLE, "off", "--why", "a ban"]).await;
    world
        .eventually("the ban is done", async || world.roles(ANN) == ["mentor"])
        .await;
    assert!(world.tenant.delete_user(ANN));
    world.linked(0).await;
    world.tenant.create_user(GOOGLE, json!({})).unwrap();
    stays_banned(&world).await;
}

#[tokio::test]
async fn f58_a_permanent_ban_outweighs_a_temporary_one() {
    let world = World::two_accounts().await;
    ban(&world).await;
    let soon = [
        "pin",
        ANN,
        ROLE,
        "off",
        "--until",
        "2099-01-01T00:00:00Z",
        "--why",
        "x",
    ];
    world.told(&soon).await;
    world.link();
    world.linked(1).await;
    world.unlink();
    world.linked(0).await;
    let pins = world
        .rows("SELECT user_id, until FROM pins ORDER BY user_id")
        .await;
    let ban = |user| json!({"user_id": user, "until": null});
    assert_eq!(pins, [ban(ANN), ban(GOOGLE)]);
}

#[tokio::test]
async fn f58_a_role_that_stays_removed_does_so_after_a_link() {
    let rules = RulesFile::new(&rule(ROLE, 100, 100, "manual = \"alert\""));
    let builder = World::builder().env("RULES_FILE", rules.path().display());
    let world = builder.start().await;
    world.connect_log_stream().await;
    world.two_accounts_here().await;
    let without = json!({"app_metadata": {"roles": []}});
    world.tenant.edit_by_other_client("crm", GOOGLE, without).unwrap();
    let suppressed = "SELECT count(*) FROM assignments WHERE suppressed";
    world.count_is("it stays removed", suppressed, 1).await;
    world.link();
    world.linked(1).await;
    world.quiet().await;
    world.unlink();
    stays_banned(&world).await;
}
