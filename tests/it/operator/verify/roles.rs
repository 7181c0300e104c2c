//! Stored roles against Auth0, with rights to read alone.

use futures_util::TryStreamExt as _;
use rolekeeper_sandbox::tenant::{CallMatch, Client, Fault};
use serde_json::json;

use super::{texts, verified, world};
use crate::world::losses::stop;
use crate::world::oracle::ROLE;
use crate::world::{ANN, APP_EVENTS, World, text, user};

/// Two holders, and no worker any more.
async fn two_holders() -> World {
    let world = world().start().await;
    for name in ["ann", "bob"] {
        world.played(name, 100).await;
    }
    world.settled().await;
    stop(&world).await;
    world
}

/// Another client removes the role; no record of it reaches a worker.
fn remove_role(world: &World) {
    let patch = json!({"app_metadata": {"roles": ["mentor"]}});
    let edited = world.tenant.edit_by_other_client("crm", ANN, patch);
    edited.expect("an edit");
}

#[tokio::test]
async fn a_role_removed_at_the_tenant_is_found() {
    let world = two_holders().await;
    let (result, code) = verified(&world, &["--roles"]).await;
    assert_eq!(
        (code, &result["roles"]["users"]),
        (Some(0), &json!(2)),
        "{result}"
    );
    remove_role(&world);
    let (result, code) = verified(&world, &[]).await;
    assert_eq!(code, Some(2));
    assert_eq!(result["roles"]["differing"], 1);
    let found = json!({"user_id": ANN, "role": ROLE, "stored": true, "at_auth0": false});
    assert_eq!(result["roles"]["differences"], json!([found]));
    assert_eq!(result["counts"]["differing"], 0);
    let said = text(&world.command(&["verify", "--roles"]).await);
    assert!(said.contains("Roles: 1 differs of those of 2 holders"), "{said}");
    assert_eq!(world.roles(ANN), ["mentor"], "nothing is changed");
}

#[tokio::test]
async fn a_change_under_way_is_no_difference() {
    let world = two_holders().await;
    remove_role(&world);
    world
        .run_sql("INSERT INTO work_queue (user_id, priority) VALUES ('auth0|ann', 0)")
        .await;
    let (result, code) = verified(&world, &["--roles"]).await;
    assert_eq!(code, Some(0), "{result}");
    assert_eq!(
        (&result["roles"]["waiting"], &result["roles"]["differing"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn a_failing_tenant_is_asked_again() {
    let world = two_holders().await;
    let failure = Fault::Status {
        code: 503,
        headers: vec![],
        body: None,
    };
    world
        .tenant
        .fault_once(CallMatch::any().user(user("bob")), failure);
    let (result, code) = verified(&world, &["--roles"]).await;
    assert_eq!(
        (code, &result["roles"]["users"]),
        (Some(0), &json!(2)),
        "{result}"
    );
}

#[tokio::test]
async fn rights_to_read_alone_are_enough() {
    let world = world().least_rights().start().await;
    world.based().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    let reader = Client::new("reader", "secret").with_scopes(["read:users", "read:users_app_metadata"]);
    world.tenant.register_client(reader);
    let url = world
        .setting("DATABASE_URL")
        .replace("rolekeeper_run", "rolekeeper_read");
    let env = [("DATABASE_URL", url.as_str()), ("AUTH0_CLIENT_ID", "reader")];
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    let consumers = async || -> Vec<String> { stream.consumer_names().try_collect().await.expect("names") };
    let (before, patches) = (consumers().await.len(), world.patches());
    let output = world.command_with(&["verify", "--json"], &env).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(result["roles"]["users"], 1);
    assert_eq!(result["counts"]["messages"], 101);
    assert_eq!(texts(&result["counts"]["not_checked"], "why"), [""; 0]);
    assert_eq!((consumers().await.len(), world.patches()), (before, patches));
    let refused = world.command_with(&["rebuild", "--why", "a test"], &env).await;
    assert!(
        text(&refused).contains("permission denied for table rebuild"),
        "{}",
        text(&refused)
    );
    world.told(&["rebuild", "--why", "a test"]).await;
}
