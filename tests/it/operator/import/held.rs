//! The roles of the users of an import, until the operator lets them change.

use serde_json::json;

use super::super::plan::planned;
use super::{File, imported};
use crate::world::erasure::KEY;
use crate::world::events::saved;
use crate::world::{World, text, user};

/// Ann has 10 plays, and 200 more by an import that is not released.
async fn held() -> (World, File) {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    for name in ["ann", "bob"] {
        world.played(name, 10).await;
    }
    world.settled().await;
    let file = File::of_counts(&[("pl_ann", 200), ("pl_bob", 1)]);
    let plan = file.plan();
    let (code, said) = imported(&world, &[&file.path, "-o", &plan]).await;
    assert!(code == Some(2) && said.contains("1 user would change"), "{said}");
    assert!(
        said.contains("held by an import") && said.contains("--release"),
        "{said}"
    );
    (world, file)
}

/// Ann is due for an attempt, which holds her.
async fn is_held(world: &World) {
    world
        .run_sql("INSERT INTO work_queue (user_id, priority) VALUES ('auth0|ann', 1)")
        .await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'import'";
    world.count_is("an attempt holds her", held, 1).await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn roles_are_held_until_the_plan_is_applied() {
    let (world, file) = held().await;
    is_held(&world).await;
    let explained = text(&world.command(&["explain", &user("ann")]).await);
    assert!(explained.contains("is held by an import"), "{explained}");
    let plan = file.plan();
    let said = world.told(&["apply", &plan, "--why", "checked"]).await;
    assert!(
        said.contains("users of the import whose roles are no longer held: 2"),
        "{said}"
    );
    world
        .holders_are("she has earned it", &["ann", "bob"], &["ann"])
        .await;
    world.quiet().await;
    assert_eq!(world.number("SELECT count(*) FROM import_users").await, Some(0));
    let (code, said) = imported(&world, &[&file.path]).await;
    assert!(code == Some(0) && said.contains("are not held since"), "{said}");
}

#[tokio::test]
async fn a_release_lets_held_users_go() {
    let (world, file) = held().await;
    is_held(&world).await;
    let (code, said) = imported(&world, &[&file.path, "--release", "--why", "checked"]).await;
    assert!(code == Some(0) && said.contains("no longer held: 2"), "{said}");
    world
        .holders_are("she has earned it", &["ann", "bob"], &["ann"])
        .await;
    let acts = "SELECT count(*) FROM operator_acts WHERE command = 'import'";
    assert_eq!(world.number(acts).await, Some(2));
}

#[tokio::test]
async fn a_plan_of_an_import_has_its_users_alone() {
    let (world, file) = held().await;
    world.told(&["pause", "--why", "a test"]).await;
    world.played("cy", 120).await;
    let (code, lines) = planned(&world, &["import", &file.path]).await;
    let users: Vec<_> = lines[1..].iter().map(|line| line["user"].clone()).collect();
    assert_eq!(lines[0]["users"], json!(1));
    assert_eq!((code, users), (Some(2), vec![json!(user("ann"))]));
}

#[tokio::test]
async fn nothing_is_imported_before_the_first_worker() {
    let world = World::builder().workers(0).start().await;
    let file = File::of_counts(&[("pl_ann", 200)]);
    let (code, said) = imported(&world, &[&file.path]).await;
    assert!(
        code == Some(1) && said.contains("no rules are in force"),
        "{said}"
    );
    assert_eq!(world.number("SELECT count(*) FROM imports").await, Some(0));
}

#[tokio::test]
async fn an_erased_user_is_held_by_no_import() {
    let (world, _file) = held().await;
    assert!(world.tenant.delete_user(&user("ann")));
    let exported = text(&world.command(&["export", &user("ann")]).await);
    assert!(exported.contains("import_users"), "{exported}");
    world.told(&["erase", "--force", &user("ann")]).await;
    let held = "SELECT count(*) FROM import_users WHERE user_id = 'auth0|ann'";
    assert_eq!(world.number(held).await, Some(0));
}

#[tokio::test]
async fn a_new_owner_of_a_playlist_is_held_too() {
    let (world, file) = held().await;
    world.seed_user(&user("cy"), &["mentor"]);
    world.publish(&[saved("again", "pl_ann", &user("cy"))]).await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'import'";
    world.count_is("an attempt holds the new owner", held, 1).await;
    assert_eq!(world.patches(), 0);
    let (code, said) = imported(&world, &[&file.path, "--release"]).await;
    assert!(code == Some(0) && said.contains("no longer held: 3"), "{said}");
    world
        .holders_are("the release ends it", &["ann", "bob", "cy"], &["cy"])
        .await;
}

#[tokio::test]
async fn stale_users_of_an_import_stay_held() {
    let (world, file) = held().await;
    world
        .run_sql("UPDATE playlists SET plays = plays + 1 WHERE playlist_id = 'pl_ann'")
        .await;
    let plan = file.plan();
    let apply = ["apply", plan.as_str(), "--partial", "--why", "a test"];
    let output = world.command(&apply).await;
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("nothing was done") && said.contains("makes the plan again"),
        "{said}"
    );
    assert_eq!(world.number("SELECT count(*) FROM import_users").await, Some(2));
}
