//! Users, tokens and the rate limit over HTTP.

use super::*;

#[tokio::test]
async fn a_user_lives_through_the_api() {
    let world = World::plain().await;
    let new = json!({
        "connection": "Username-Password-Authentication",
        "email": "chuck@example.com",
        "password": "Passwords hide their chuck",
        "app_metadata": {"facts": ["one"], "roles": ["dj"]},
        "user_metadata": {"attack": "kick"},
    });
    let (status, user) = world.call("POST", "/users", Some(new.clone())).await;
    assert_eq!(status, 201);
    let id = user["user_id"].as_str().unwrap();
    assert_eq!(id.len(), "auth0|64ad8398c5c61f16f5d65921".len());
    assert_eq!(user["identities"][0]["user_id"], id["auth0|".len()..]);
    assert_eq!(user["nickname"], "chuck");
    assert!(user.get("password").is_none());
    assert_eq!(world.call("POST", "/users", Some(new)).await.0, 409);

    let path = format!("/users/{}", id.replace('|', "%7C"));
    assert_eq!(world.get(&path).await, (200, user.clone()));
    let (_, part) = world
        .get(&format!("{path}?fields=user_id,app_metadata&include_fields=true"))
        .await;
    assert_eq!(part, json!({"user_id": id, "app_metadata": user["app_metadata"]}));
    let (_, rest) = world
        .get(&format!(
            "{path}?fields=user_id,app_metadata&include_fields=false"
        ))
        .await;
    assert!(rest.get("user_id").is_none() && rest.get("email").is_some());

    let (status, patched) = world
        .patch(&path, json!({"app_metadata": {"foo": "bar", "facts": null}}))
        .await;
    assert_eq!(
        (status, &patched["app_metadata"]),
        (200, &json!({"roles": ["dj"], "foo": "bar"}))
    );
    let (_, emptied) = world
        .patch(&path, json!({"app_metadata": {}, "user_metadata": {}}))
        .await;
    assert!(emptied.get("app_metadata").is_none());
    assert_eq!(emptied["user_metadata"], json!({}));
    assert_eq!(world.get(&path).await.1, emptied);

    let (_, found) = world
        .get("/users?include_totals=true&q=email%3A%22chuck%40example.com%22")
        .await;
    assert_eq!(
        (&found["total"], &found["users"][0]["user_id"]),
        (&json!(1), &json!(id))
    );
    assert_eq!(world.call("DELETE", &path, None).await.0, 204);
    let (status, gone) = world.get(&path).await;
    assert_eq!((status, &gone["errorCode"]), (404, &json!("inexistent_user")));

    let history = world.tenant.history(id);
    let by_worker = Actor::Client("worker".into());
    assert!(history.iter().all(|version| version.by == by_worker));
    let roles: Vec<_> = history.iter().map(|version| version.roles().cloned()).collect();
    assert_eq!(roles, [Some(json!(["dj"])), Some(json!(["dj"])), None, None]);
    assert!(history[3].deleted);
    let applied: Vec<_> = world
        .tenant
        .calls()
        .into_iter()
        .filter(|call| call.applied)
        .collect();
    let methods: Vec<_> = applied
        .iter()
        .map(|call| (call.method.as_str(), call.status))
        .collect();
    let expected = [
        ("POST", 200),
        ("POST", 201),
        ("PATCH", 200),
        ("PATCH", 200),
        ("DELETE", 204),
    ];
    assert_eq!(methods, expected.map(|(method, status)| (method, Some(status))));
    assert_eq!(applied[1].body.as_ref().unwrap()["password"], "*****");
    assert!(
        applied[1..]
            .iter()
            .all(|call| call.user_id.as_deref() == Some(id))
    );
}

#[tokio::test]
async fn refusals_read_as_auth0_writes_them() {
    let options = TenantOptions {
        clients: vec![Client::new("reader", "secret").with_scopes(["read:users"])],
        ..Default::default()
    };
    let mut world = World::new(options).await;
    world.seeded("auth0|a");
    let path = "/users/auth0%7Ca";
    let bare = world
        .http
        .get(format!("{}/api/v2{path}", world.tenant.base_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(
        bare.json::<Value>().await.unwrap()["message"],
        "Missing authentication"
    );

    let table = [
        (
            json!({"nick": 1, "zodiac": 2}),
            "Additional properties not allowed: nick,zodiac",
        ),
        (json!({}), "None of the valid schemas were met"),
        (
            json!({"app_metadata": null}),
            "Expected type object but found type null",
        ),
        (
            json!({"app_metadata": ["roles"]}),
            "Expected type object but found type array",
        ),
        (json!({"app_metadata": {"user_id": "x"}}), "user_id"),
        (
            json!({"blocked": "yes"}),
            "Expected type boolean but found type string",
        ),
        (
            json!({"password": "a", "email": "b@example.com"}),
            "Cannot update password and email simultaneously",
        ),
    ];
    for (body, message) in table {
        let (status, error) = world.patch(path, body.clone()).await;
        assert_eq!((status, &error["error"]), (400, &json!("Bad Request")), "{body}");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    }
    let answer = world
        .request("PATCH", path)
        .body("{\"app_metadata\":")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.json::<Value>().await.unwrap()["errorCode"], "invalid_body");
    let big = json!({"app_metadata": {"notes": "x".repeat(70_000)}});
    assert_eq!(world.patch(path, big).await.0, 400);
    assert_eq!(world.patch("/users/auth0%7Cz", json!({"name": "Z"})).await.0, 404);
    assert_eq!(world.call("DELETE", "/users/auth0%7Cz", None).await.0, 204);
    assert_eq!(world.get("/roles").await.0, 404);
    assert_eq!(
        world.get("/users?per_page=101").await.1["errorCode"],
        "invalid_query_string"
    );
    assert_eq!(
        world.tenant.history("auth0|a").len(),
        1,
        "nothing of this was applied"
    );

    world.token = world.token_of("reader").await;
    let (status, error) = world.patch(path, json!({"name": "A"})).await;
    assert_eq!((status, &error["errorCode"]), (403, &json!("insufficient_scope")));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("update:users,update:users_app_metadata")
    );
    assert_eq!(world.get(path).await.0, 200);
    world.tenant.revoke_tokens("reader");
    let (status, error) = world.get(path).await;
    assert_eq!((status, &error["message"]), (401, &json!("Invalid token.")));
}
