//! Access to the tenant: tokens, the rate limit, and the end of the tenant.

use super::*;

#[tokio::test]
async fn tokens_are_for_known_clients_and_expire() {
    let options = TenantOptions {
        token_lifetime: Duration::ZERO,
        ..Default::default()
    };
    let world = World::new(options).await;
    assert_eq!(world.get("/users").await.0, 401, "expired at once");
    let good = json!({
        "grant_type": "client_credentials", "client_id": "worker", "client_secret": "secret",
        "audience": "https://sandbox.eu.auth0.com/api/v2/",
    });
    for (field, value, status, error) in [
        ("client_secret", "wrong", 401, "access_denied"),
        ("client_id", "nobody", 401, "access_denied"),
        ("audience", "https://elsewhere/", 403, "access_denied"),
        ("grant_type", "made_up", 400, "unsupported_grant_type"),
    ] {
        let mut body = good.clone();
        body[field] = value.into();
        let (got, answer) = world.ask_for_token(&body).await;
        assert_eq!((got, &answer["error"]), (status, &json!(error)));
        assert!(answer["error_description"].is_string());
    }
    let form = "grant_type=client_credentials&client_id=worker&client_secret=secret&audience=https%3A%2F%2Fx%2Fapi%2Fv2%2F";
    let request = world
        .http
        .post(format!("{}/oauth/token", world.tenant.base_url()))
        .body(form);
    let answer = request
        .header("content-type", "application/x-www-form-urlencoded")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["expires_in"], 0);
}

#[tokio::test]
async fn the_rate_limit_is_shared_and_told() {
    let options = TenantOptions {
        plan: RatePlan::Global(Rate::new(3, 0.1)),
        retry_after: true,
        clients: vec![Client::new("rival", "secret")],
        ..Default::default()
    };
    let mut world = World::new(options).await;
    world.seeded("auth0|a");
    let mut left = vec![];
    for client in ["worker", "rival", "worker", "rival"] {
        world.token = world.token_of(client).await;
        let answer = world.request("GET", "/users/auth0%7Ca").send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().parse::<i64>().unwrap();
        assert_eq!(header("x-ratelimit-limit"), 3);
        let ahead = header("x-ratelimit-reset") - crate::now().unix_timestamp();
        left.push((answer.status().as_u16(), header("x-ratelimit-remaining")));
        let missing = 10 * i64::try_from(left.len().min(3)).unwrap();
        assert!(
            (missing - 5..=missing + 1).contains(&ahead),
            "full again {ahead} s ahead, {left:?}"
        );
        if left.len() == 4 {
            assert!((6..=10).contains(&header("retry-after")));
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["message"], "Global limit has been reached");
        }
    }
    assert_eq!(left, [(200, 2), (200, 1), (200, 0), (429, 0)]);
}

#[tokio::test]
async fn a_dropped_tenant_answers_no_more() {
    let World { tenant, http, token } = World::plain().await;
    let url = format!("{}/api/v2/users", tenant.base_url());
    let get = || http.get(&url).bearer_auth(&token).send();
    assert_eq!(get().await.unwrap().status(), 200);
    drop(tenant);
    let refused = timeout(BOUND, async {
        while get().await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    refused.await.unwrap();
}
