//! Directories that change or remove users: by SCIM, with their connection, or under unusual ids. The records only say
//! which user to read.

use serde_json::{Value, json};

use crate::world::oracle::ROLE;
use crate::world::{LOG_TOKEN, World};

/// A world whose holders, with these ids, are known.
async fn holders(users: &[&str]) -> World {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    for (number, user) in users.iter().enumerate() {
        world.seed_user(user, &["mentor"]);
        world.earn(user, &format!("pl_{number}")).await;
    }
    world.settled().await;
    world
}

async fn post(world: &World, record: Value) {
    let posted = world.worker().post_logs(LOG_TOKEN, record.to_string()).await;
    assert_eq!(posted, Some(200));
}

fn scim(method: &str, id: &str) -> Value {
    let path = format!("/scim/v2/connections/con_1/Users/{id}");
    let request = json!({"method": method, "path": path, "query": {}, "userAgent": "Azure AD", "ip": "192.0.2.1", "body": null});
    json!({"type": "sscim", "date": "2026-11-28T12:05:00.000Z", "details": {"action": "x", "connection_id": "con_1",
        "request": request, "response": {"statusCode": 204}}})
}

async fn is_gone(world: &World, users: i64) {
    let gone = "SELECT count(*) FROM role_changes WHERE reason = 'user_deleted' AND change = 'revoked'";
    world.count_is("Auth0 does not know them", gone, users).await;
    world.quiet().await;
}

#[tokio::test]
async fn a_user_removed_by_scim_is_read() {
    let waad = "waad|abc123";
    let world = holders(&[waad, "waad|stays"]).await;
    assert!(world.tenant.delete_user(waad));
    post(&world, scim("DELETE", "waad%7Cabc123")).await;
    is_gone(&world, 1).await;
    // A change is read too: the directory may have removed the role.
    let without = json!({"app_metadata": {"roles": ["mentor"]}});
    world
        .tenant
        .edit_unrecorded("waad|stays", without)
        .expect("an edit");
    post(&world, scim("PATCH", "waad%7Cstays")).await;
    world
        .eventually("the role is back", async || {
            world.roles("waad|stays") == ["mentor", ROLE]
        })
        .await;
    let calls = world.api_calls();
    post(&world, scim("PATCH", "waad%7Cinvented")).await;
    world.quiet().await;
    assert_eq!(world.api_calls(), calls, "an id that is not known is not read");
}

#[tokio::test]
async fn a_deletion_of_an_id_with_blanks_is_read() {
    let carl = "samlp|corp|carl smith@corp.example";
    let world = holders(&[carl]).await;
    world.connect_log_stream().await;
    assert!(world.tenant.delete_user(carl));
    is_gone(&world, 1).await;
    // The same by the record of the deletion alone.
    let eve = "samlp|corp|eve | adam";
    let world = holders(&[eve]).await;
    assert!(world.tenant.delete_user(eve));
    let record = json!({"type": "sdu", "date": "2026-11-28T12:05:00.000Z", "user_id": "", "user_name": "",
        "description": "user_id: corp|eve | adam", "strategy": "samlp", "strategy_type": "enterprise"});
    post(&world, record).await;
    is_gone(&world, 1).await;
}

#[tokio::test]
async fn a_deleted_connection_has_its_users_verified() {
    let users = ["samlp|corp|a", "samlp|corp|b", "auth0|stays"];
    let world = holders(&users).await;
    for user in &users[..2] {
        assert!(world.tenant.delete_user(user));
    }
    let request = json!({"method": "delete", "path": "/api/v2/connections/con_1", "body": null});
    let record = json!({"type": "sapi", "date": "2026-11-28T12:05:00.000Z", "details": {"request": request,
        "response": {"statusCode": 202, "body": {}}}});
    post(&world, record).await;
    is_gone(&world, 2).await;
    assert_eq!(world.roles("auth0|stays"), ["mentor", ROLE]);
}
