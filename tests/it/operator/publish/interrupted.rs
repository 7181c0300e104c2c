//! Runs that end in the middle.

use nix::sys::signal::Signal;

use super::{Lines, code, of_ann};
use crate::world::{ANN, World};

/// The response to a line in the second thousand does not arrive.
async fn with_a_held_line() -> World {
    let world = World::builder().nats_proxy().start().await;
    world.seed_user(ANN, &["mentor"]);
    world.nats_proxy().hold(b"p-1500");
    world
}

/// The rest is sent, and every line counts once.
async fn goes_on(world: &World, lines: &Lines) {
    world.nats_proxy().let_go();
    world.told(&["publish", &lines.path, "--from-line", "1002"]).await;
    world.has_stored(&of_ann(2_500));
    assert_eq!(world.in_stream().await, 2_501);
    world.settled().await;
}

#[tokio::test]
async fn an_interrupted_run_says_how_to_go_on() {
    let world = with_a_held_line().await;
    let lines = Lines::of(&of_ann(2_500));
    let mut run = world.begin_command(&["publish", &lines.path]);
    let held = async || world.nats_proxy().held() > 0;
    world.eventually("a line is held", held).await;
    run.send(Signal::SIGINT);
    let (succeeded, said) = run.ended().await;
    assert!(!succeeded, "{said}");
    for part in [
        "1001 lines stored\n",
        "interrupted. All lines from 1 to 1001 are stored; some of the lines 1002 to 2001 may be stored too.",
        "run the command again with --from-line 1002, within 9 minutes",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    goes_on(&world, &lines).await;
}

#[tokio::test]
async fn a_lost_server_ends_the_run_at_a_named_line() {
    let world = with_a_held_line().await;
    let lines = Lines::of(&of_ann(2_500));
    let arguments = ["publish", &lines.path, "--retry-s", "1"];
    let (exit, said) = code(&world.command(&arguments).await);
    assert_eq!(exit, Some(2), "{said}");
    assert!(said.contains("not stored by JetStream: "), "{said}");
    assert!(said.contains("--from-line 1002"), "{said}");
    goes_on(&world, &lines).await;
}

#[tokio::test]
async fn a_short_outage_is_bridged() {
    let world = with_a_held_line().await;
    let lines = Lines::of(&of_ann(2_500));
    let mut run = world.begin_command(&["publish", &lines.path]);
    let held = async || world.nats_proxy().held() > 0;
    world.eventually("a line is held", held).await;
    world.nats_proxy().let_go();
    world.nats_proxy().cut();
    let (succeeded, said) = run.ended().await;
    assert!(succeeded && said.contains("2501 lines stored\n"), "{said}");
    world.has_stored(&of_ann(2_500));
    assert_eq!(world.in_stream().await, 2_501);
    world.settled().await;
}
