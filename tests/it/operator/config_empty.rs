//! Empty settings, as `${NAME:-}` in a compose file leaves them.

use std::time::Duration;

use crate::world::World;

/// Settings without which this worker cannot run.
const NEEDED: [&str; 8] = [
    "DATABASE_URL",
    "NATS_URL",
    "AUTH0_DOMAIN",
    "AUTH0_CLIENT_ID",
    "AUTH0_CLIENT_SECRET",
    "LOG_STREAM_TOKEN",
    "LISTEN",
    "OPS_LISTEN",
];

#[tokio::test]
async fn l6_every_setting_that_is_empty_is_unset() {
    let world = World::builder().workers(0).start().await;
    let help = world.command(&["serve", "--help"]).await;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let names = help
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split(['=', ']']).next());
    let names: Vec<&str> = names.filter(|name| !NEEDED.contains(name)).collect();
    assert!(names.len() > 20 && names.contains(&"AUTH0_AUDIENCE"), "{names:?}");
    for blank in ["", " "] {
        let empty = names.iter().map(|name| (*name, blank));
        let empty: Vec<(&str, &str)> = empty.chain([("LOG_FORMAT", "json")]).collect();
        let worker = world.start_worker_with(&empty).await;
        assert!(worker.sigterm(Duration::from_secs(15)).await.success());
    }
    let migrated = world
        .command_with(
            &["migrate"],
            &[("STREAM_REPLICAS", ""), ("DATABASE_DIRECT_URL", "")],
        )
        .await;
    assert!(migrated.status.success());
}
