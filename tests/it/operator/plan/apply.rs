//! `rolekeeper apply`: exactly the plan, or nothing.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{counted, done, earned, forget_queue, interrupted, place, plan_of, queued};
use crate::world::events::plays;
use crate::world::oracle::ROLE;
use crate::world::rules::rules_file;
use crate::world::{World, user};

/// The acts of `apply`: reason and outcome.
async fn acts(world: &World) -> Vec<Value> {
    world
        .rows("SELECT why, outcome FROM operator_acts WHERE command = 'apply' ORDER BY act_id")
        .await
}

/// One more play.
async fn played_again(world: &World, name: &str) {
    let list = format!("pl_{name}");
    world.publish(&plays(&format!("again-{name}"), &list, 0..1)).await;
    counted(world, &[(name, 121)]).await;
}

#[tokio::test]
async fn a_plan_is_applied_once_however_often_it_is_run() {
    let world = earned(&["ann", "bob"]).await;
    let (_folder, _, path) = place();
    done(&world, &["plan", "--user", &user("ann"), "-o", &path]).await;
    forget_queue(&world).await;
    for _ in 0..2 {
        let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
        assert!(code == Some(0) && said.contains("users enqueued: 1;"), "{said}");
    }
    assert_eq!(queued(&world).await, [user("ann")]);
    world.told(&["resume"]).await;
    world.holders_are("the worker makes it", &["ann"], &["ann"]).await;
    world.quiet().await;
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    assert!(
        code == Some(0) && said.contains("decided otherwise after a read of the profile: 1"),
        "{said}"
    );
    let kept = "users enqueued: 1; done before: 0; left out because their facts changed: 0";
    assert_eq!(acts(&world).await[0], json!({"why": "a test", "outcome": kept}));
    assert_eq!(world.changes("ann").len(), 1);
}

#[tokio::test]
async fn a_stale_plan_is_refused_and_names_the_users() {
    let world = earned(&["ann", "bob", "cid"]).await;
    let (_folder, _, path) = place();
    done(&world, &["plan", "--user", &user("ann"), "-o", &path]).await;
    played_again(&world, "bob").await;
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    assert!(code == Some(0), "facts of others do not matter: {said}");
    done(&world, &["plan", "-o", &path]).await;
    world
        .told(&["pin", &user("ann"), ROLE, "off", "--why", "a test"])
        .await;
    played_again(&world, "cid").await;
    forget_queue(&world).await;
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    let stale = "nothing was done, since the facts of 2 of 3 users have changed since the plan was made: auth0|ann, auth0|cid.";
    assert!(code == Some(1) && said.contains(stale), "{said}");
    assert!(queued(&world).await.is_empty());
}

#[tokio::test]
async fn a_stale_plan_is_refused_each_time() {
    let world = earned(&["ann"]).await;
    let (_folder, _, path) = place();
    forget_queue(&world).await;
    for _ in 0..20 {
        done(&world, &["plan", "-o", &path]).await;
        world
            .run_sql("UPDATE playlists SET plays = plays + 1 WHERE playlist_id = 'pl_ann'")
            .await;
        let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
        assert!(
            code == Some(1) && said.contains("the facts of 1 of 1 user have changed"),
            "{said}"
        );
    }
    assert!(queued(&world).await.is_empty());
}

#[tokio::test]
async fn a_partial_apply_leaves_stale_users_out() {
    let world = earned(&["ann", "bob"]).await;
    let (_folder, _, path) = place();
    done(&world, &["plan", "-o", &path]).await;
    played_again(&world, "bob").await;
    forget_queue(&world).await;
    let (code, said) = done(&world, &["apply", &path, "--partial", "--why", "a test"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("users left out: 1, since their facts have changed since the plan was made: auth0|bob"),
        "{said}"
    );
    assert_eq!(queued(&world).await, [user("ann")]);
}

#[tokio::test]
async fn a_plan_of_proposed_rules_puts_them_in_force() {
    let world = World::start().await;
    world.played("ann", 60).await;
    world.played("bob", 40).await;
    world.settled().await;
    let (file, (_folder, _, path)) = (rules_file(1, 50), place());
    plan_of(&world, &file, &path).await;
    let (code, said) = done(&world, &["apply", &path, "--why", "a test"]).await;
    assert!(
        code == Some(0) && said.contains("version 1 is in force, in place of 0"),
        "{said}"
    );
    let change = said.find("  + playlist_editor: grant_at = 50");
    assert!(
        change.is_some() && change < said.find("version 1 is in force"),
        "{said}"
    );
    world.line_in_force("the rules of the plan", 50).await;
    world
        .holders_are("and the planned user", &["ann", "bob"], &["ann"])
        .await;
    world.quiet().await;
    let (code, said) = done(&world, &["apply", &path, "--why", "again"]).await;
    assert!(
        code == Some(0) && said.contains("version 1 is in force already"),
        "{said}"
    );
    let put_by = "SELECT count(*) FROM rules_in_force WHERE put_by = 'apply'";
    assert_eq!(world.number(put_by).await, Some(1));
}

#[tokio::test]
async fn an_apply_that_was_killed_is_finished_by_another() {
    let world = World::start().await;
    world.played("ann", 60).await;
    world.settled().await;
    let (file, (_folder, _, path)) = (rules_file(1, 50), place());
    plan_of(&world, &file, &path).await;
    let apply = ["apply", &path, "--why", "a test"];
    interrupted(&world, &apply, "work_queue IN SHARE MODE", Signal::SIGKILL).await;
    world.line_in_force("it was killed behind this step", 50).await;
    assert!(queued(&world).await.is_empty());
    let (code, said) = done(&world, &apply).await;
    assert!(
        code == Some(0) && said.contains("version 1 is in force already"),
        "{said}"
    );
    assert_eq!(queued(&world).await, [user("ann")]);
    let kept: Vec<Value> = acts(&world).await;
    assert!(
        kept.len() == 2
            && kept[1]["outcome"]
                .as_str()
                .is_some_and(|outcome| outcome.starts_with("users enqueued: 1;")),
        "{kept:?}"
    );
    world.start_worker().await;
    world.holders_are("the worker makes it", &["ann"], &["ann"]).await;
}

#[tokio::test]
async fn a_plan_is_refused_once_other_rules_are_in_force() {
    let world = earned(&["ann"]).await;
    let ((_folder, _, path), (_other, _, proposed)) = (place(), place());
    let (file, newer) = (rules_file(1, 50), rules_file(2, 70));
    done(&world, &["plan", "-o", &path]).await;
    plan_of(&world, &file, &proposed).await;
    let newer = newer.path().display().to_string();
    world.told(&["rules", "apply", &newer]).await;
    for plan in [path, proposed] {
        let (code, said) = done(&world, &["apply", &plan, "--partial", "--why", "a test"]).await;
        let changed = "the rules in force have changed since the plan was made: version 0 then, 2 now";
        assert!(code == Some(1) && said.contains(changed), "{said}");
    }
    assert!(acts(&world).await.is_empty());
    world.line_in_force("the newer ones stay", 70).await;
}
