//! Publishing writes of one user: a limit per day, over all workers.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::json;

use crate::world::World;
use crate::world::data_api::ANNA;
use crate::world::data_api::{DataApi, Got};

async fn make(api: &DataApi, user: &str) -> Got {
    api.send(user, Method::POST, "/playlists", json!({"name": "Road trip"}))
        .await
}

#[tokio::test]
async fn publishing_writes_have_a_budget_of_the_day() {
    let mut api = DataApi::start_in(World::builder(), &[("API_PUBLISHES_PER_D", "4")]).await;
    let old = "INSERT INTO publish_budgets SELECT 'auth0|old' || n, now() - interval '1 h' FROM generate_series(1, 8) n";
    sqlx::query(old).execute(&api.world.db).await.expect("rows");
    let mut path = String::new();
    for _ in 0..3 {
        let made = make(&api, ANNA).await;
        assert_eq!(made.status, 202);
        path = format!(
            "/playlists/{}",
            made.json()["playlist_id"].as_str().expect("an id")
        );
    }
    let gone = async || api.delete(ANNA, &path).await.status == 202;
    api.world.eventually("it is there to be deleted", gone).await;
    let left = "SELECT count(*) FROM publish_budgets WHERE user_id LIKE 'auth0|old%'";
    assert_eq!(
        api.world.number(left).await,
        Some(0),
        "old budgets are removed bit by bit"
    );
    // Deleted ones count: five were requested, on another worker too.
    let audience = format!("{}/api/v2/", api.world.tenant.base_url());
    let env = [
        ("ONLY", "http"),
        ("AUTH0_AUDIENCE", audience.as_str()),
        ("AUTH0_DOMAIN", api.keys.url.as_str()),
        ("API_AUDIENCE", crate::world::data_api::AUDIENCE),
        ("API_PUBLISHES_PER_D", "4"),
    ];
    let other = api.world.start_worker_with(&env).await;
    for address in [api.worker.address("LISTEN").await, other.address("LISTEN").await] {
        api.url = format!("http://{address}");
        let refused = make(&api, ANNA).await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
        // A quarter of a day until the next, less the duration of the test.
        let wait: u32 = refused.header("retry-after").parse().expect("seconds");
        assert!((21_000..=21_601).contains(&wait), "{wait}");
    }
    assert_eq!(make(&api, "auth0|bert").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn what_the_bus_did_not_take_is_not_charged() {
    let api = DataApi::start_in(World::builder(), &[("API_PUBLISHES_PER_D", "2")]).await;
    api.world
        .nats
        .lock()
        .await
        .stop()
        .await
        .expect("nats-server stops");
    for _ in 0..3 {
        assert_eq!(make(&api, ANNA).await.status, 503);
    }
    api.world
        .nats
        .lock()
        .await
        .start_again()
        .await
        .expect("nats-server starts");
    let made = async || make(&api, ANNA).await.status == 202;
    api.world.eventually("it is accepted again", made).await;
    assert_eq!(make(&api, ANNA).await.status, 202);
    assert_eq!(make(&api, ANNA).await.status, 429);
}
