//! Account linking over HTTP, and its records.

use super::*;

const ANN: &str = "/users/auth0%7Cann";
const GOOGLE: &str = "/users/google-oauth2%7C7";

async fn two() -> World {
    let world = World::plain().await;
    let metadata = |roles: &[&str]| json!({"email": "ann@example.com", "app_metadata": {"roles": roles}});
    world.tenant.seed_user("auth0|ann", metadata(&["dj"])).unwrap();
    world
        .tenant
        .seed_user("google-oauth2|7", metadata(&["editor"]))
        .unwrap();
    world
}

fn google() -> Value {
    json!({"provider": "google-oauth2", "user_id": "7"})
}

#[tokio::test]
async fn a_secondary_becomes_an_identity_and_comes_back_empty() {
    let world = two().await;
    let (status, all) = world
        .call("POST", &format!("{ANN}/identities"), Some(google()))
        .await;
    assert_eq!((status, &all[1]["user_id"]), (201, &json!("7")));
    assert_eq!(all[1]["profileData"]["email"], "ann@example.com");
    let (status, gone) = world.get(GOOGLE).await;
    assert_eq!((status, &gone["errorCode"]), (404, &json!("inexistent_user")));
    let (_, ann) = world.get(ANN).await;
    assert_eq!(ann["identities"], all);
    assert_eq!(
        ann["app_metadata"],
        json!({"roles": ["dj"]}),
        "the metadata is discarded"
    );
    let unlink = format!("{ANN}/identities/google-oauth2/7");
    let (status, left) = world.call("DELETE", &unlink, None).await;
    assert_eq!((status, left.as_array().map(Vec::len)), (200, Some(1)));
    let (_, again) = world.get(GOOGLE).await;
    assert_eq!(again["email"], "ann@example.com");
    assert!(again.get("app_metadata").is_none(), "{again}");
    assert_eq!(world.call("DELETE", &unlink, None).await.0, 404);
}

#[tokio::test]
async fn what_cannot_be_linked_is_refused() {
    let world = two().await;
    let link = format!("{ANN}/identities");
    for (body, status) in [
        (json!({}), 400),
        (json!({"link_with": "x"}), 400),
        (json!({"provider": "auth0", "user_id": "ann"}), 400),
        (json!({"provider": "auth0", "user_id": "nobody"}), 404),
    ] {
        assert_eq!(
            world.call("POST", &link, Some(body.clone())).await.0,
            status,
            "{body}"
        );
    }
    world.tenant.seed_user("auth0|bob", json!({})).unwrap();
    assert_eq!(world.call("POST", &link, Some(google())).await.0, 201);
    let bob = world
        .call("POST", "/users/auth0%7Cbob/identities", Some(google()))
        .await;
    assert_eq!(bob.0, 409, "it belongs to another user");
    assert_eq!(
        world
            .call("DELETE", &format!("{ANN}/identities/auth0/ann"), None)
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn identities_are_found_by_search() {
    let world = two().await;
    world
        .tenant
        .link(Actor::Unrecorded, "auth0|ann", "google-oauth2|7")
        .unwrap();
    let found = "/users?q=identities.user_id%3A%227%22%20AND%20identities.provider%3A%22google-oauth2%22&fields=user_id";
    assert_eq!(world.get(found).await, (200, json!([{"user_id": "auth0|ann"}])));
    assert_eq!(
        world.get("/users?q=identities.user_id%3A%228%22").await,
        (200, json!([]))
    );
}

#[tokio::test]
async fn links_leave_records_of_the_api() {
    let world = two().await;
    let by = || Actor::Client("worker".to_owned());
    world.tenant.link(by(), "auth0|ann", "google-oauth2|7").unwrap();
    world.tenant.unlink(by(), "auth0|ann", "google-oauth2|7").unwrap();
    let state = world.tenant.shared.lock();
    let records: Vec<&Value> = state.outbox.kept().map(|kept| &kept.record).collect();
    let paths = records
        .iter()
        .map(|record| record["details"]["request"]["path"].as_str().unwrap());
    assert_eq!(
        paths.collect::<Vec<_>>(),
        [
            "/api/v2/users/auth0%7Cann/identities",
            "/api/v2/users/auth0%7Cann/identities/google-oauth2/7"
        ]
    );
    assert_eq!(records[0]["details"]["request"]["body"], google());
    drop(state);
    let history = world.tenant.history("google-oauth2|7");
    let deleted: Vec<bool> = history.iter().map(|version| version.deleted).collect();
    assert_eq!(deleted, [false, true, false]);
}
