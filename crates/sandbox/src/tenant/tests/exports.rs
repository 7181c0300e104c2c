//! Searches and users exports over HTTP.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::*;

/// A tenant with ten users, created a minute apart; every second one is a DJ.
async fn ten(options: TenantOptions) -> World {
    let world = World::new(options).await;
    for number in 0..10 {
        let roles = if number % 2 == 0 { "dj" } else { "mentor" };
        let user = json!({
            "user_id": format!("auth0|u{number}"),
            "created_at": format!("2026-01-31T23:{:02}:00.000Z", 59 - number),
            "app_metadata": {"roles": [roles]},
        });
        world.tenant.import_user(user).unwrap();
    }
    world
}

fn ids(users: &Value) -> Vec<&str> {
    let users = users.as_array().unwrap().iter();
    users.map(|user| user["user_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_search_is_sorted_paged_and_limited() {
    let world = ten(TenantOptions {
        search_results: 4,
        ..TenantOptions::default()
    })
    .await;
    let djs = "/users?q=app_metadata.roles%3A%22dj%22&search_engine=v3&sort=created_at:1&include_totals=true&per_page=2";
    let (status, page) = world.get(djs).await;
    assert_eq!((status, &page["total"]), (200, &json!(5)));
    assert_eq!(ids(&page["users"]), ["auth0|u8", "auth0|u6"]);
    let later = djs.replace(
        "%22dj%22",
        "%22dj%22%20AND%20created_at:%5B2026-01-31T23:55:00.000Z%20TO%20*%5D",
    );
    let (_, page) = world.get(&later).await;
    assert_eq!(
        (ids(&page["users"]), &page["total"]),
        (vec!["auth0|u4", "auth0|u2"], &json!(3))
    );
    assert_eq!(world.get(&format!("{djs}&page=1")).await.0, 200);
    let (status, error) = world.get(&format!("{djs}&page=2")).await;
    assert_eq!((status, &error["errorCode"]), (400, &json!("invalid_paging")));
    for refused in ["q=roles%3Adj*", "sort=created_at", "search_engine=v2", "q=dj"] {
        assert_eq!(world.get(&format!("/users?{refused}")).await.0, 400, "{refused}");
    }
    let long = format!("/users?q=a%3A{}", "b".repeat(5_000));
    assert_eq!(world.get(&long).await.0, 414);
}

#[tokio::test]
async fn an_export_is_a_file_behind_a_link_without_token() {
    let world = ten(TenantOptions::default()).await;
    let fields = json!([{"name": "user_id"}, {"name": "app_metadata", "export_as": "data"}]);
    let body = json!({"format": "json", "fields": fields});
    let (status, job) = world.call("POST", "/jobs/users-exports", Some(body)).await;
    assert_eq!((status, &job["status"]), (200, &json!("pending")));
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let (_, job) = world.get(&path).await;
    assert_eq!(
        (&job["status"], &job["type"]),
        (&json!("completed"), &json!("users_export"))
    );
    let link = job["location"].as_str().unwrap();
    let file = world.http.get(link).send().await.unwrap().bytes().await.unwrap();
    let mut text = String::new();
    GzDecoder::new(&file[..]).read_to_string(&mut text).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first, json!({"user_id": "auth0|u0", "data": {"roles": ["dj"]}}));
    assert_eq!(text.lines().count(), 10);

    let with_token = world
        .http
        .get(link)
        .bearer_auth(&world.token)
        .send()
        .await
        .unwrap();
    assert_eq!(with_token.status(), 400);
    let expired = link.replace("expires=1", "expires=0");
    assert_eq!(world.http.get(expired).send().await.unwrap().status(), 403);
    let (status, error) = world.get("/jobs/job_0").await;
    assert_eq!((status, &error["errorCode"]), (404, &json!("inexistent_job")));
    for refused in [
        json!({"format": "csv"}),
        json!({"fields": []}),
        json!({"connection_id": "con_1"}),
    ] {
        let (status, _) = world.call("POST", "/jobs/users-exports", Some(refused)).await;
        assert_eq!(status, 400);
    }
}

#[tokio::test]
async fn an_export_takes_its_time_and_needs_a_scope() {
    let options = TenantOptions {
        export_takes: Duration::from_mins(10),
        clients: vec![Client::new("writer", "secret").with_scopes(["update:users"])],
        plan: RatePlan::SELF_SERVICE,
        ..TenantOptions::default()
    };
    let mut world = ten(options).await;
    let (_, job) = world.call("POST", "/jobs/users-exports", Some(json!({}))).await;
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let (_, job) = world.get(&path).await;
    assert_eq!(
        (&job["status"], job.get("location")),
        (&json!("processing"), None)
    );
    let mut limited = 0;
    for _ in 0..10 {
        limited += usize::from(world.get(&path).await.0 == 429);
    }
    assert!(limited > 0, "jobs have a small limit of their own");
    assert_eq!(world.get("/users").await.0, 200);
    world.token = world.token_of("writer").await;
    sleep(Duration::from_millis(500)).await;
    let (status, error) = world.call("POST", "/jobs/users-exports", Some(json!({}))).await;
    assert_eq!((status, &error["errorCode"]), (403, &json!("insufficient_scope")));
}
