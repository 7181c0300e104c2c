//! Runs that end early.

use nix::sys::signal::Signal;
use sqlx::Connection as _;

use super::super::plan::{locked, waiting};
use super::{counts, world};
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{World, text};

/// A world with a wrong count in each of several partitions.
async fn wrong() -> World {
    let world = world().nats_proxy().start().await;
    world.based().await;
    for name in ["ann", "bob", "cid", "dan", "eve"] {
        world.played(name, 20).await;
    }
    world.settled().await;
    world.run_sql("UPDATE playlists SET plays = plays + 1000").await;
    world
}

#[tokio::test]
async fn a_killed_rebuild_ends_right_when_it_runs_again() {
    let world = wrong().await;
    // Each run gets a little further.
    for corrected in 0..3 {
        let mut run = world.begin_command(&["rebuild", "--why", "a test"]);
        let reached = async || {
            world
                .number("SELECT count(*) FROM playlists WHERE plays < 1000")
                .await
                > Some(corrected)
        };
        world.eventually("another partition is corrected", reached).await;
        run.send(Signal::SIGKILL);
        run.ended().await;
        world.run_sql("UPDATE rebuild SET holds_until = now()").await;
    }
    world.told(&["rebuild", "--why", "a test"]).await;
    assert_eq!(counts(&world).await["differing"], 0);
    world.settled().await;
}

#[tokio::test]
async fn an_interrupted_run_says_so_and_leaves_nothing() {
    let world = wrong().await;
    let both: [&[&str]; 2] = [&["verify", "--counts"], &["rebuild", "--why", "a test"]];
    for command in both {
        let before = world.nats_proxy().held();
        world.nats_proxy().hold(b"CONSUMER.CREATE.APP_EVENTS");
        let mut run = world.begin_command(command);
        let held = async || world.nats_proxy().held() > before;
        world.eventually("a request is held", held).await;
        run.send(Signal::SIGINT);
        let (succeeded, said) = run.ended().await;
        assert!(!succeeded && said.contains("interrupted"), "{said}");
        world.nats_proxy().let_go();
        assert_eq!(world.number("SELECT count(*) FROM rebuild").await, Some(0));
    }
    assert_eq!(counts(&world).await["differing"], 5);
}

#[tokio::test]
async fn a_walk_over_sums_is_interrupted() {
    let rules = RulesFile::new(&rule(ROLE, 100, 100, "of = \"all_playlists\""));
    let world = world().env("RULES_FILE", rules.path().display()).start().await;
    world.based().await;
    world.played("ann", 90).await;
    world.quiet().await;
    let both: [&[&str]; 2] = [&["verify", "--counts"], &["rebuild", "--why", "a test"]];
    for command in both {
        let lock = locked(&world, "owner_totals IN ACCESS EXCLUSIVE MODE").await;
        let mut run = world.begin_command(command);
        waiting(&world, 1).await;
        run.send(Signal::SIGINT);
        let (succeeded, said) = run.ended().await;
        assert!(!succeeded && said.contains("interrupted"), "{said}");
        lock.close().await.expect("Postgres responds");
    }
    assert_eq!(world.number("SELECT count(*) FROM rebuild").await, Some(0));
}

#[tokio::test]
async fn without_a_server_the_command_says_which_one() {
    let world = world().start().await;
    world.based().await;
    let nowhere = [("NATS_URL", "nats://127.0.0.1:1")];
    let output = world.command_with(&["verify", "--counts"], &nowhere).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("JetStream"), "{}", text(&output));
    let unset = [("AUTH0_DOMAIN", "")];
    let output = world.command_with(&["verify"], &unset).await;
    assert!(text(&output).contains("AUTH0_DOMAIN"), "{}", text(&output));
    let bad = world.command(&["verify", "--partition", "64"]).await;
    assert_eq!(bad.status.code(), Some(1));
}
