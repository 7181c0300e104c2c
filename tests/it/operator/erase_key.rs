//! The erasure key: an erasure and a worker need it, and it is the same for all.

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use serde_json::json;

use crate::world::erasure::{ANN, KEY, named};
use crate::world::{LOG_TOKEN, World, text};

const OTHER_KEY: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

/// The output of a command that was refused for its key, and shows none.
fn refused(output: &Output, what: &str) {
    let said = text(output);
    assert!(
        !output.status.success() && said.contains("ERASURE_KEY") && said.contains(what),
        "{said}"
    );
    assert!(
        !said.contains(KEY) && !said.contains("dG9vLXNob3J0"),
        "a key is shown: {said}"
    );
}

async fn erase(world: &World, user: &str, key: &str) -> Output {
    world
        .command_with(&["erase", user], &[("ERASURE_KEY", key)])
        .await
}

#[tokio::test]
async fn the_key_must_be_there_and_the_same() {
    let world = World::start().await;
    refused(&world.command(&["erase", ANN]).await, "not set");
    refused(&erase(&world, ANN, "dG9vLXNob3J0").await, "32 bytes");
    assert_eq!(world.number("SELECT count(*) FROM erasures").await, Some(0));
    let odd = erase(&world, "a\tb", KEY).await;
    assert!(
        !odd.status.success() && text(&odd).contains("control characters"),
        "{}",
        text(&odd)
    );
    let unknown = erase(&world, ANN, KEY).await;
    assert!(unknown.status.success(), "an unknown user can be erased, too");
    refused(&erase(&world, ANN, OTHER_KEY).await, "not the key");
}

#[tokio::test]
async fn a_worker_without_the_key_stops_what_it_cannot_check() {
    let world = World::start().await;
    assert!(erase(&world, ANN, KEY).await.status.success());
    let worker = world.worker();
    let record = json!({"type": "s", "user_id": ANN, "date": "2026-11-23T10:00:00.000Z"}).to_string();
    assert_eq!(worker.post_logs(LOG_TOKEN, record).await, Some(200));
    world
        .eventually("the worker says what is missing", async || {
            let ready = worker.get("/readyz").await;
            ready.is_some_and(|(status, said)| status == 503 && said.contains("ERASURE_KEY: not set"))
        })
        .await;
    assert_eq!(named(&world).await, BTreeMap::new());
    for (key, what) in [
        ("", "ERASURE_KEY: not set"),
        (OTHER_KEY, "ERASURE_KEY: not the key"),
    ] {
        let refused = world.spawn_worker_with(&[("ERASURE_KEY", key)]);
        assert!(!refused.wait(Duration::from_secs(20)).await.success());
        assert!(refused.log().contains(what), "{}", refused.log_tail(20));
    }
    worker.kill9().await;
    world.start_worker_with(&[("ERASURE_KEY", KEY)]).await;
    world.quiet().await;
    assert_eq!(named(&world).await, BTreeMap::new());
}
