//! What the command may read, and what it leaves behind.

use futures_util::TryStreamExt as _;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{proposed, simulated};
use crate::world::erasure::KEY;
use crate::world::{ANN, APP_EVENTS, World, text};

/// Names of the consumers of the stream.
async fn consumers(world: &World) -> Vec<String> {
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    let mut names: Vec<String> = stream.consumer_names().try_collect().await.expect("names");
    names.sort();
    names
}

#[tokio::test]
async fn a_role_with_select_alone_simulates_and_leaves_nothing() {
    let world = World::builder().least_rights().start().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    let url = world
        .setting("DATABASE_URL")
        .replace("rolekeeper_run", "rolekeeper_read");
    let file = proposed(10, 10);
    let path = file.path().display().to_string();
    let (calls, before) = (world.tenant.with_calls(<[_]>::len), consumers(&world).await);
    let arguments = ["simulate", "--json", "--rules", &path];
    let output = world.command_with(&arguments, &[("DATABASE_URL", &url)]).await;
    assert!(output.status.success(), "{}", text(&output));
    let simulation: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(simulation["users"][0]["user_id"], ANN);
    assert_eq!(consumers(&world).await, before);
    assert_eq!(world.tenant.with_calls(<[_]>::len), calls, "no call to Auth0");
}

#[tokio::test]
async fn an_erased_user_is_not_named() {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.seed_user(ANN, &[]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    let file = proposed(10, 10);
    assert_eq!(simulated(&world, &file, &[]).await["users"][0]["user_id"], ANN);
    world.told(&["erase", "--force", ANN]).await;
    let simulation = simulated(&world, &file, &[]).await;
    assert_eq!(simulation["users"], json!([]));
    for sum in ["up", "down", "grants", "revokes", "flaps"] {
        assert_eq!(simulation[sum], 0, "{sum}: {simulation}");
    }
    assert_eq!(
        (&simulation["busiest"], &simulation["work"]["calls"]),
        (&Value::Null, &json!(0))
    );
    assert!(!simulation.to_string().contains(ANN), "{simulation}");
    let path = file.path().display().to_string();
    let output = world
        .command_with(&["simulate", "--rules", &path], &[("ERASURE_KEY", "")])
        .await;
    assert!(text(&output).contains("ERASURE_KEY"), "{}", text(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn an_interrupted_simulation_says_that_it_changed_nothing() {
    let world = World::builder().workers(0).nats_proxy().start().await;
    world.played("ann", 12).await;
    world.nats_proxy().hold(b"MSG.NEXT");
    let file = proposed(10, 10);
    let path = file.path().display().to_string();
    let mut run = world.begin_command(&["simulate", "--rules", &path]);
    let held = async || world.nats_proxy().held() > 0;
    world.eventually("a request is held", held).await;
    run.send(Signal::SIGINT);
    let (succeeded, said) = run.ended().await;
    assert!(!succeeded, "{said}");
    assert!(
        said.contains("interrupted: nothing was changed; run the command again"),
        "{said}"
    );
}
