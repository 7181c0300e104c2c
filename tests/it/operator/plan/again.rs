//! A plan that is applied again, at once with another, or while facts change.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::Connection as _;

use super::{
    blocked, change, changes, done, earned, forget_queue, interrupted, locked, place, plan_of, planned,
    queued, waiting,
};
use crate::world::rules::rules_file;
use crate::world::{World, user};

/// Exit code and output of `apply`.
async fn applied(world: &World, path: &str) -> (Option<i32>, String) {
    done(world, &["apply", path, "--why", "a test"]).await
}

#[tokio::test]
async fn a_user_unknown_at_auth0_counts_as_done_in_a_rerun() {
    let world = earned(&["ann"]).await;
    let (_folder, _, path) = place();
    assert!(world.tenant.delete_user(&user("ann")));
    done(&world, &["plan", "-o", &path]).await;
    let (code, said) = applied(&world, &path).await;
    assert!(code == Some(0) && said.contains("users enqueued: 1;"), "{said}");
    world.told(&["resume"]).await;
    let marked = "SELECT count(*) FROM gone_users";
    world.count_is("the worker has asked for it", marked, 1).await;
    let (code, said) = applied(&world, &path).await;
    let decided = "decided otherwise after a read of the profile: 1";
    assert!(code == Some(0) && said.contains(decided), "{said}");
}

#[tokio::test]
async fn a_moved_person_is_planned_at_the_new_id() {
    let world = World::start().await;
    world.played("ann", 120).await;
    world.holders_are("she earns it", &["ann"], &["ann"]).await;
    world.quiet().await;
    world.told(&["pause", "--why", "a test"]).await;
    world.seed_user(&user("bob"), &["mentor"]);
    assert!(world.tenant.delete_user(&user("ann")));
    let moves = ["move", &user("ann"), &user("bob"), "--why", "a test"];
    world.told(&moves).await;
    let (_folder, _, path) = place();
    for asked in [
        &["plan", "-o", &path][..],
        &["plan", "--user", &user("ann")],
        &["plan", "--user", &user("bob")],
    ] {
        let (code, lines) = planned(&world, asked).await;
        assert_eq!(
            (code, changes(&lines[1..])),
            (Some(2), vec![change("bob", "granted")])
        );
        assert_eq!(lines[1]["plays"], json!(120));
    }
    let (code, said) = applied(&world, &path).await;
    assert!(code == Some(0) && said.contains("users enqueued: 1;"), "{said}");
    world.told(&["resume"]).await;
    world
        .holders_are("it follows the person", &["bob"], &["bob"])
        .await;
    world.quiet().await;
    let (code, said) = applied(&world, &path).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn a_plan_from_before_a_move_is_stale() {
    let world = earned(&["ann", "bob"]).await;
    let (_folder, _, path) = place();
    done(&world, &["plan", "-o", &path]).await;
    assert!(world.tenant.delete_user(&user("ann")));
    let moves = ["move", &user("ann"), &user("bob"), "--why", "a test"];
    world.told(&moves).await;
    let (code, said) = applied(&world, &path).await;
    let stale = "the facts of 2 of 2 users have changed";
    assert!(code == Some(1) && said.contains(stale), "{said}");
}

#[tokio::test]
async fn two_applies_of_one_plan_at_once_both_succeed() {
    let world = World::start().await;
    let (_folder, _, path) = place();
    plan_of(&world, &rules_file(1, 50), &path).await;
    let lock = locked(&world, "rules_in_force IN SHARE MODE").await;
    let release = async {
        waiting(&world, 2).await;
        lock.close().await.expect("Postgres responds");
    };
    let (first, second, ()) = tokio::join!(applied(&world, &path), applied(&world, &path), release);
    assert_eq!((first.0, second.0), (Some(0), Some(0)), "{first:?} {second:?}");
    let said = first.1 + &second.1;
    assert!(
        said.contains("version 1 is in force, in place of 0")
            && said.contains("version 1 is in force already"),
        "{said}"
    );
}

#[tokio::test]
async fn a_play_while_a_plan_is_applied_is_an_error_without_partial() {
    let world = earned(&["ann"]).await;
    let (_folder, _, path) = place();
    plan_of(&world, &rules_file(1, 50), &path).await;
    forget_queue(&world).await;
    let lock = locked(&world, "rules_in_force IN SHARE MODE").await;
    let release = async {
        waiting(&world, 1).await;
        world.run_sql("UPDATE playlists SET plays = plays + 1").await;
        lock.close().await.expect("Postgres responds");
    };
    let ((code, said), ()) = tokio::join!(applied(&world, &path), release);
    let left = "users left out: 1, since their facts have changed since the plan was made: auth0|ann. It happened while";
    assert!(code == Some(1) && said.contains(left), "{said}");
    assert!(queued(&world).await.is_empty());
    let (code, said) = applied(&world, &path).await;
    let refused = "nothing was done, since the facts of 1 of 1 user have changed";
    assert!(
        code == Some(1) && said.contains(refused),
        "in force already: {said}"
    );
}

#[tokio::test]
async fn a_signal_in_the_last_slice_interrupts_nothing() {
    let world = earned(&["ann"]).await;
    let (_folder, _, path) = place();
    done(&world, &["plan", "-o", &path]).await;
    forget_queue(&world).await;
    let apply = ["apply", &path, "--why", "a test"];
    let lock = "work_queue IN SHARE MODE";
    let (success, said) = interrupted(&world, &apply, lock, Signal::SIGINT).await;
    assert!(success && said.contains("users enqueued: 1;"), "{said}");
    assert_eq!(queued(&world).await, [user("ann")]);
    let kept = "SELECT count(*) FROM operator_acts WHERE command = 'apply'";
    assert_eq!(world.number(kept).await, Some(1));
}

/// A signal ends the command soon while a table is locked.
async fn ends_soon(world: &World, arguments: &[&str], hangs: &str) {
    let lock = format!("{hangs} IN ACCESS EXCLUSIVE MODE");
    let (lock, mut command) = blocked(world, arguments, &lock).await;
    let began = Instant::now();
    command.send(Signal::SIGINT);
    let (succeeded, said) = command.ended().await;
    assert!(
        !succeeded && said.contains("interrupted while Postgres did not respond"),
        "{said}"
    );
    assert!(began.elapsed() < Duration::from_secs(5), "{arguments:?}");
    lock.close().await.expect("Postgres responds");
}

#[tokio::test]
async fn a_signal_ends_a_plan_soon_while_postgres_hangs() {
    let world = earned(&["ann"]).await;
    let (_folder, path, name) = place();
    ends_soon(&world, &["plan", "-o", &name], "playlists").await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_signal_ends_apply_soon_while_postgres_hangs() {
    let world = earned(&["ann"]).await;
    let (_folder, _, path) = place();
    done(&world, &["plan", "-o", &path]).await;
    ends_soon(&world, &["apply", &path, "--why", "a test"], "work_queue").await;
}

#[tokio::test]
async fn a_signal_ends_evidence_soon_while_postgres_hangs() {
    let world = earned(&[]).await;
    let (_folder, path, name) = place();
    ends_soon(
        &world,
        &["evidence", "--from", "2000-01-01", "-o", &name],
        "role_change_chain",
    )
    .await;
    assert!(!path.exists());
}
