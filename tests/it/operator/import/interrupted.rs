//! Imports that end in the middle, and run again.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sqlx::{Connection as _, PgConnection};

use super::{File, PLAYS, imported, locked, plays};
use crate::world::{Running, World, user};

/// Lines that are counted, and the last one of the file.
const THROUGH: &str = "SELECT through FROM imports";

/// An import of 4,001 plays of Ann and one of Bob that waits for the lock of his playlist.
async fn waiting() -> (World, File, Running, PgConnection) {
    let world = World::start().await;
    for name in ["ann", "bob"] {
        world.played(name, 1).await;
    }
    world.settled().await;
    let lock = locked(&world, "pl_bob").await;
    let file = File::new(&(plays("i", "pl_ann", 4_001) + &plays("j", "pl_bob", 1)));
    let run = world.begin_command(&["import", &file.path]);
    world.count_is("two batches are counted", THROUGH, 4_000).await;
    (world, file, run, lock)
}

/// The rest is counted, and each line once.
async fn goes_on(world: &World, file: &File, lock: PgConnection) {
    lock.close().await.expect("Postgres responds");
    let (code, said) = imported(world, &[&file.path]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("lines counted: 4002; plays added: 4002"), "{said}");
    assert_eq!(world.number(PLAYS).await, Some(4_004));
    let held = "SELECT count(*) FROM import_users";
    assert_eq!(world.number(held).await, Some(2), "{}", user("bob"));
}

#[tokio::test]
async fn a_killed_import_goes_on_where_it_was() {
    let (world, file, mut run, lock) = waiting().await;
    run.send(Signal::SIGKILL);
    run.ended().await;
    goes_on(&world, &file, lock).await;
}

#[tokio::test]
async fn an_interrupted_import_ends_soon_and_says_how_to_go_on() {
    let (world, file, mut run, lock) = waiting().await;
    let began = Instant::now();
    run.send(Signal::SIGINT);
    let (succeeded, said) = run.ended().await;
    assert!(!succeeded && began.elapsed() < Duration::from_secs(5), "{said}");
    assert!(
        said.contains("to continue, run the command again with the same file"),
        "{said}"
    );
    goes_on(&world, &file, lock).await;
}

#[tokio::test]
async fn two_runs_at_once_count_each_line_once() {
    let world = World::start().await;
    let file = File::new(&plays("i", "pl_ann", 9_000));
    let arguments = [file.path.as_str()];
    let (one, other) = tokio::join!(imported(&world, &arguments), imported(&world, &arguments));
    assert!([one.0, other.0].contains(&Some(0)), "{}{}", one.1, other.1);
    assert_eq!(world.number(PLAYS).await, Some(9_000));
}
