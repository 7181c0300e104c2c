//! Imports that end in the middle, and run again.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sqlx::{Connection as _, PgConnection};

use super::{File, PLAYS, imported, locked, plays};
use crate::world::{Running, World, user};

/// Lines that are counted, and the last one of the file.
const THROUGH: &str = "SELECT through FROM imports";
/// Sessions that wait for a row: each batch locks its playlists first.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event IN ('transactionid', 'tuple')";

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

#[tokio::test]
async fn an_import_whose_file_is_lost_is_released_by_its_id() {
    let (world, file, mut run, lock) = waiting().await;
    run.send(Signal::SIGKILL);
    run.ended().await;
    lock.close().await.expect("Postgres responds");
    let rows = world.rows("SELECT source FROM imports").await;
    let id = rows[0]["source"].as_str().expect("an id").to_owned();
    let (code, said) = imported(&world, &["--release", &id]).await;
    assert!(
        code == Some(0) && said.contains("lines 1 to 4000 were counted"),
        "{said}"
    );
    assert_eq!(world.number("SELECT count(*) FROM import_users").await, Some(0));
    let (code, said) = imported(&world, &[&file.path]).await;
    assert!(
        code == Some(1) && said.contains("released before its end"),
        "{said}"
    );
    let (code, said) = imported(&world, &["--release", &"0".repeat(64)]).await;
    assert!(
        code == Some(1) && said.contains("no import with this id"),
        "{said}"
    );
}

#[tokio::test]
async fn a_release_by_id_stops_a_running_import() {
    let world = World::start().await;
    for name in ["ann", "bob"] {
        world.played(name, 1).await;
    }
    world.settled().await;
    let lock = locked(&world, "pl_bob").await;
    let file = File::new(&(plays("j", "pl_bob", 1) + &plays("i", "pl_ann", 4_000)));
    let mut run = world.begin_command(&["import", &file.path]);
    world.count_is("it waits for the playlist", WAITING, 1).await;
    let rows = world.rows("SELECT source FROM imports").await;
    let id = rows[0]["source"].as_str().expect("an id").to_owned();
    let (code, said) = imported(&world, &["--release", &id]).await;
    assert!(code == Some(0) && said.contains("no more will be"), "{said}");
    lock.close().await.expect("Postgres responds");
    let (counted, why) = run.ended().await;
    assert!(!counted && why.contains("released before its end"), "{why}");
    assert_eq!(world.number(THROUGH).await, Some(0));
    assert_eq!(world.number("SELECT count(*) FROM import_users").await, Some(0));
}

#[tokio::test]
async fn what_a_file_gains_meanwhile_is_not_imported() {
    let world = World::start().await;
    world.played("bob", 1).await;
    world.settled().await;
    let lock = locked(&world, "pl_bob").await;
    let file = File::new(&(plays("j", "pl_bob", 1) + &plays("i", "pl_ann", 12_000)));
    let mut run = world.begin_command(&["import", &file.path]);
    let begun = "SELECT count(*) FROM imports";
    world.count_is("all lines are checked", begun, 1).await;
    let more = plays("i", "pl_ann", 12_000) + &plays("late", "pl_ann", 2_000);
    let all = plays("j", "pl_bob", 1) + &more;
    std::fs::write(&file.path, all).expect("a longer file");
    lock.close().await.expect("Postgres responds");
    let (succeeded, said) = run.ended().await;
    assert!(succeeded && said.contains("lines counted: 12001;"), "{said}");
    assert_eq!(world.number(PLAYS).await, Some(12_002));
}
