//! `rolekeeper undo`: the way back from what was done.

use std::path::PathBuf;

use super::plan::{done, place, plan_of};
use crate::world::oracle::ROLE;
use crate::world::rules::rules_file;
use crate::world::{World, user};

/// Number of the newest act of this command.
async fn act(world: &World, query: &'static str) -> String {
    world.number(query).await.expect("an act").to_string()
}

/// The act that put rules in force.
const RULES_ACT: &str = "SELECT min(act_id) FROM operator_acts WHERE command = 'apply'";

/// Ann has 60 plays, and a lower threshold of version 1 gives her the role.
async fn lowered() -> (World, tempfile::TempDir, String) {
    let world = World::start().await;
    for (name, plays) in [("ann", 60), ("bob", 120)] {
        world.played(name, plays).await;
    }
    world.settled().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = |file: &str| -> PathBuf { folder.path().join(file) };
    let (rules, plan) = (rules_file(1, 50), name("new.plan").display().to_string());
    plan_of(&world, &rules, &plan).await;
    world.told(&["apply", &plan, "--why", "lower"]).await;
    world
        .holders_are("she has earned it", &["ann", "bob"], &["ann", "bob"])
        .await;
    world.quiet().await;
    (world, folder, plan)
}

#[tokio::test]
async fn a_change_of_rules_is_reversed_by_a_plan() {
    let (world, folder, plan) = lowered().await;
    let back = folder.path().join("back.plan").display().to_string();
    let number = act(&world, RULES_ACT).await;
    for what in [&number, &plan] {
        let (code, said) = done(&world, &["undo", what, "-o", &back]).await;
        assert!(
            code == Some(2) && said.contains("reverse it as version 2"),
            "{said}"
        );
        assert!(
            said.contains("1 user would change") && said.contains("auth0|ann"),
            "{said}"
        );
    }
    world.told(&["apply", &back, "--why", "a mistake"]).await;
    world.holders_are("she loses it", &["ann", "bob"], &["bob"]).await;
    assert_eq!(world.number("SELECT version FROM rules_in_force").await, Some(2));
    for what in [&number, &plan] {
        let (code, said) = done(&world, &["undo", what]).await;
        assert!(code == Some(1) && said.contains("no longer in force"), "{said}");
    }
    let (code, said) = done(&world, &["undo", &back]).await;
    assert!(
        code == Some(2) && said.contains("reverse it as version 3"),
        "{said}"
    );
}

#[tokio::test]
async fn a_role_change_is_reversed_by_a_pin() {
    let world = World::start().await;
    world.played("ann", 120).await;
    world.holders_are("she has earned it", &["ann"], &["ann"]).await;
    world.quiet().await;
    let rows = world
        .rows("SELECT change_id::text FROM role_changes WHERE change = 'granted'")
        .await;
    let id = rows[0]["change_id"].as_str().expect("an id").to_owned();
    let (code, said) = done(&world, &["undo", &id]).await;
    let pin = format!("rolekeeper pin 'auth0|ann' '{ROLE}' off --why 'undo of role change {id}'");
    assert!(code == Some(2) && said.contains(&pin), "{said}");
    world
        .told(&["pin", &user("ann"), ROLE, "off", "--why", "as printed"])
        .await;
    world.holders_are("the pin stands", &["ann"], &[]).await;
    world.quiet().await;
    let (code, said) = done(&world, &["undo", &id]).await;
    assert!(
        code == Some(1) && said.contains("a later change of playlist_editor"),
        "{said}"
    );
}

#[tokio::test]
async fn a_plan_under_the_rules_in_force_is_reversed_by_pins() {
    let world = World::start().await;
    world.told(&["pause", "--why", "a test"]).await;
    world.played("ann", 120).await;
    let counted = "SELECT plays FROM playlists WHERE plays = 120";
    world.count_is("the plays are counted", counted, 120).await;
    let (_folder, _, plan) = place();
    let (_, said) = done(&world, &["plan", "-o", &plan]).await;
    assert!(
        said.contains("Attempts and writes are paused since") && said.contains("(a test)"),
        "{said}"
    );
    world.told(&["apply", &plan, "--why", "checked"]).await;
    let (code, said) = done(&world, &["undo", &plan]).await;
    assert!(code == Some(0) && said.contains("nothing to undo"), "{said}");
    world.told(&["resume"]).await;
    world.holders_are("she has it", &["ann"], &["ann"]).await;
    world.quiet().await;
    let (code, said) = done(&world, &["undo", &plan, "--json"]).await;
    assert!(
        code == Some(2) && said.contains("rolekeeper pin 'auth0|ann'"),
        "{said}"
    );
}

#[tokio::test]
async fn a_plan_that_was_never_applied_is_refused() {
    let world = World::start().await;
    world.told(&["pause", "--why", "a test"]).await;
    world.played("ann", 120).await;
    let counted = "SELECT plays FROM playlists WHERE plays = 120";
    world.count_is("the plays are counted", counted, 120).await;
    let ((_folder, _, plan), (_other, _, proposed)) = (place(), place());
    done(&world, &["plan", "-o", &plan]).await;
    plan_of(&world, &rules_file(1, 150), &proposed).await;
    world.told(&["resume"]).await;
    world
        .holders_are("she has it by herself", &["ann"], &["ann"])
        .await;
    world.quiet().await;
    for path in [&plan, &proposed] {
        let (code, said) = done(&world, &["undo", path]).await;
        let refused = said.contains("was never applied to its end") && said.contains("rolekeeper acts");
        assert!(code == Some(1) && refused, "{said}");
    }
}

#[tokio::test]
async fn a_released_brake_is_engaged_again() {
    let world = World::start().await;
    world
        .told(&["brake", "engage", "grants", "--why", "a test"])
        .await;
    world.played("ann", 120).await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_grants'";
    world.count_is("she is held", held, 1).await;
    world.told(&["brake", "release", "grants"]).await;
    world.holders_are("she has it", &["ann"], &["ann"]).await;
    let number = act(
        &world,
        "SELECT max(act_id) FROM operator_acts WHERE command = 'brake release'",
    )
    .await;
    let (code, said) = done(&world, &["undo", &number]).await;
    let engage = format!("rolekeeper brake engage grants --why 'undo of act {number}'");
    assert!(code == Some(2) && said.contains(&engage), "{said}");
    let (code, said) = done(&world, &["undo", &number, "-o", "/tmp/no.plan"]).await;
    assert!(
        code == Some(1) && said.contains("by commands, not by a plan"),
        "{said}"
    );
}

#[tokio::test]
async fn what_cannot_be_undone_is_refused() {
    let world = World::start().await;
    let table = [
        ("999", "act 999: unknown"),
        (
            "01938f6e-6c1d-7c3a-9d3e-2f1b6f0c9a11",
            "no role change has this id",
        ),
        ("/no/file", "expected the number of an act"),
    ];
    for (what, why) in table {
        let (code, said) = done(&world, &["undo", what]).await;
        assert!(code == Some(1) && said.contains(why), "{what}: {said}");
    }
    world.told(&["pause", "--why", "a test"]).await;
    let number = act(&world, "SELECT max(act_id) FROM operator_acts").await;
    let (code, said) = done(&world, &["undo", &number]).await;
    assert!(code == Some(1) && said.contains("is pause"), "{said}");
}
