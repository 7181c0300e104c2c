//! The default name of users who have none.

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};
use serde_json::{Value, json};

use crate::world::events::retraction;
use crate::world::names::{by_default, name_patch, seed};
use crate::world::oracle::ROLE;
use crate::world::{ANN, World};

#[tokio::test]
async fn the_default_name_is_one_write_with_the_role() {
    let world = by_default().start().await;
    seed(&world, ANN, &json!({"color": "blue", "nested": {"a": [1]}}));
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    assert_eq!(world.endpoints_of(ANN), [ReadUser, PatchUser]);
    let both = json!({"app_metadata": {"roles": ["mentor", ROLE]}, "user_metadata": {"displayName": "user"}});
    assert_eq!(world.writes_to(ANN), [both]);
    let metadata = json!({"color": "blue", "nested": {"a": [1]}, "displayName": "user"});
    assert_eq!(world.metadata(ANN), metadata);

    // The user is named once, and never again.
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world.settled().await;
    let revoke = json!({"app_metadata": {"roles": ["mentor"]}});
    assert_eq!(world.writes_to(ANN)[1..], [revoke]);
    assert_eq!(world.metadata(ANN), metadata);
    let by_default = world
        .worker()
        .count(r#"rolekeeper_display_names_written_total{source="default"}"#)
        .await;
    assert_eq!(by_default, Some(1));
}

#[tokio::test]
async fn a_new_user_is_named_by_one_write_and_its_echo_costs_no_call() {
    let world = by_default().start().await;
    world.connect_log_stream().await;
    let profile = json!({"app_metadata": {"roles": ["mentor"]}});
    world.tenant.create_user(ANN, profile).expect("a user");
    world.is_named(ANN, "user").await;
    world.quiet().await;
    assert_eq!(world.endpoints_of(ANN), [ReadUser, PatchUser]);
    assert_eq!(world.writes_to(ANN), [name_patch("user")]);
    assert_eq!(world.roles(ANN), ["mentor"]);
    assert!(world.audit_of(ANN).await.is_empty());
    let writes = world.number("SELECT count(*) FROM profile_writes").await;
    assert_eq!(writes, Some(0), "no write of roles");

    // A write of both is also recorded in the tenant's log.
    let bob = "auth0|bob";
    seed(&world, bob, &Value::Null);
    world.earn(bob, "pl_1").await;
    world.settled().await;
    assert_eq!(world.endpoints_of(bob), [ReadUser, PatchUser]);
}

#[tokio::test]
async fn whoever_has_anything_there_keeps_it() {
    let world = by_default().start().await;
    let kept = [
        json!({"displayName": "Ann"}),
        json!({"displayName": "user"}),
        json!({"displayName": ""}),
        json!({"displayName": 7, "color": "blue"}),
        json!({"displayName": ["Ann"]}),
        json!({"displayName": {"first": "Ann"}}),
        json!({"displayName": false}),
    ];
    let nameless = [
        Value::Null,
        json!({}),
        json!({"displayname": "Ann"}),
        json!({"display": {"displayName": "Ann"}}),
    ];
    for (n, metadata) in kept.iter().chain(&nameless).enumerate() {
        seed(&world, &format!("auth0|u{n}"), metadata);
        world.earn(&format!("auth0|u{n}"), &format!("pl_{n}")).await;
    }
    world.settled().await;
    for (n, before) in kept.iter().chain(&nameless).enumerate() {
        let user = format!("auth0|u{n}");
        let writes = world.writes_to(&user);
        assert_eq!(writes.len(), 1, "{user}");
        let named = writes[0].get("user_metadata");
        if n < kept.len() {
            assert_eq!((named, &world.metadata(&user)), (None, before), "{user}");
        } else {
            assert_eq!(named, Some(&json!({"displayName": "user"})), "{user}");
            let mut after = before.as_object().cloned().unwrap_or_default();
            after.insert("displayName".into(), "user".into());
            assert_eq!(world.metadata(&user), Value::Object(after), "{user}");
        }
    }
}

#[tokio::test]
async fn l13_without_the_setting_nobody_is_named() {
    let world = World::start().await;
    seed(&world, ANN, &Value::Null);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    assert_eq!(world.metadata(ANN), Value::Null);
}
