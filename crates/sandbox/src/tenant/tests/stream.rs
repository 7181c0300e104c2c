//! The log stream from a webhook's side.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

/// A webhook that stores the deliveries and sends the requested responses.
struct Webhook {
    url: String,
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answers: Arc<Mutex<StatusCode>>,
    _serving: JoinSet<()>,
}

impl Webhook {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/auth0/logs", listener.local_addr().unwrap());
        let (got, answers) = (Arc::new(Mutex::new(vec![])), Arc::new(Mutex::new(StatusCode::OK)));
        let (keep, answer) = (Arc::clone(&got), Arc::clone(&answers));
        let router = Router::new().fallback(move |headers: HeaderMap, body: String| async move {
            keep.lock().unwrap().push((headers, body));
            *answer.lock().unwrap()
        });
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            got,
            answers,
            _serving: serving,
        }
    }

    fn bodies(&self) -> Vec<String> {
        self.got
            .lock()
            .unwrap()
            .iter()
            .map(|(_, body)| body.clone())
            .collect()
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let all = timeout(BOUND, async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    all.await
        .unwrap_or_else(|_| panic!("not within {BOUND:?}: {what}"));
}

/// Returns the records of a body in any of the three formats.
fn records(body: &str) -> Vec<Value> {
    match serde_json::from_str(body) {
        Ok(Value::Array(records)) => records,
        Ok(Value::Object(mut object)) if object.contains_key("logs") => {
            serde_json::from_value(object.remove("logs").unwrap()).unwrap()
        }
        _ => body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    }
}

/// Streams one record per body, and returns the `data` of all delivered records.
async fn streamed(world: &World, deeds: impl AsyncFnOnce()) -> Vec<Value> {
    let webhook = Webhook::start().await;
    world
        .tenant
        .stream_logs(LogStream {
            batch: 1,
            ..LogStream::to(&webhook.url, "verbatim token")
        })
        .unwrap();
    deeds().await;
    until("all records delivered", || world.tenant.undelivered() == 0).await;
    let got = webhook.got.lock().unwrap().clone();
    assert!(
        got.iter()
            .all(|(headers, _)| headers["authorization"] == "verbatim token")
    );
    let sent: Vec<Value> = got.iter().flat_map(|(_, body)| records(body)).collect();
    assert!(
        sent.iter()
            .all(|record| record["log_id"] == record["data"]["log_id"])
    );
    let ids: Vec<&str> = sent
        .iter()
        .map(|record| record["log_id"].as_str().unwrap())
        .collect();
    assert!(ids.iter().all(|id| id.len() == 56));
    assert_eq!(ids, world.tenant.delivered_log_ids());
    sent.into_iter().map(|mut record| record["data"].take()).collect()
}

fn kinds(data: &[Value]) -> Vec<&str> {
    data.iter().map(|data| data["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn users_leave_their_own_records() {
    let world = World::plain().await;
    world
        .tenant
        .seed_user("auth0|old", json!({"email": "old@example.com"}))
        .unwrap();
    let data = streamed(&world, async || {
        world
            .tenant
            .create_user("google-oauth2|77", json!({"email": "g@example.com"}))
            .unwrap();
        world.tenant.login("google-oauth2|77").unwrap();
        assert!(world.tenant.delete_user("auth0|old") && !world.tenant.delete_user("auth0|old"));
    })
    .await;
    assert_eq!(kinds(&data), ["ss", "s", "sdu", "sapi"]);
    assert_eq!(
        (&data[0]["user_id"], &data[0]["strategy_type"]),
        (&json!("google-oauth2|77"), &json!("social"))
    );
    assert_eq!(
        (&data[1]["user_id"], &data[1]["details"]["stats"]["loginsCount"]),
        (&data[0]["user_id"], &json!(1))
    );
    assert_eq!(
        (&data[2]["user_id"], &data[2]["description"]),
        (&json!(""), &json!("user_id: old"))
    );
    let details = &data[3]["details"];
    assert_eq!(
        (&details["request"]["path"], &details["request"]["method"]),
        (&json!("/api/v2/users/auth0%7Cold"), &json!("delete"))
    );
    assert_eq!(
        (&details["request"]["body"], &details["response"]["body"]),
        (&Value::Null, &json!({}))
    );
}

#[tokio::test]
async fn writes_by_api_and_dashboard_are_told_apart() {
    let world = World::plain().await;
    world.tenant.seed_user("auth0|old", json!({})).unwrap();
    let roles = |role: &str| json!({"app_metadata": {"roles": [role]}});
    let new =
        json!({"connection": "Username-Password-Authentication", "email": "n@example.com", "password": "p"});
    let mut made = Value::Null;
    let data = streamed(&world, async || {
        world.tenant.dashboard_edit("auth0|old", roles("x")).unwrap();
        world
            .tenant
            .edit_by_other_client("rival", "auth0|old", roles("y"))
            .unwrap();
        world.tenant.edit_unrecorded("auth0|old", roles("z")).unwrap();
        assert!(
            world
                .tenant
                .edit_by_other_client("rival", "auth0|nobody", roles("y"))
                .is_err()
        );
        assert_eq!(world.patch("/users/auth0%7Cold", roles("w")).await.0, 200);
        made = world.call("POST", "/users", Some(new)).await.1;
    })
    .await;
    assert_eq!(kinds(&data), ["sapi", "sapi", "sapi", "ss", "sapi"]);
    let request = |n: usize| &data[n]["details"]["request"];
    let channels = [0, 1, 2].map(|n| {
        (
            request(n)["channel"].as_str().unwrap(),
            data[n]["client_id"].as_str().unwrap(),
        )
    });
    let expected = [
        ("https://manage.auth0.com/", DASHBOARD_CLIENT),
        ("api", "rival"),
        ("api", "worker"),
    ];
    assert_eq!(channels, expected);
    assert_eq!(
        (&data[0]["user_id"], &data[1]["user_id"]),
        (&json!(DASHBOARD_ADMIN), &json!(""))
    );
    assert_eq!(
        (&request(1)["method"], &request(1)["path"]),
        (&json!("patch"), &json!("/api/v2/users/auth0%7Cold"))
    );
    assert_eq!(
        (&request(1)["body"], &data[1]["description"]),
        (&roles("y"), &json!("Update a User"))
    );
    assert_eq!(
        data[4]["details"]["response"],
        json!({"statusCode": 201, "body": made})
    );
    assert_eq!(
        (&data[3]["user_id"], &request(4)["body"]["password"]),
        (&made["user_id"], &json!("*****"))
    );
    let by: Vec<Actor> = world
        .tenant
        .history("auth0|old")
        .into_iter()
        .map(|version| version.by)
        .collect();
    let client = |id: &str| Actor::Client(id.into());
    assert_eq!(
        by,
        [
            Actor::Unrecorded,
            Actor::Dashboard,
            client("rival"),
            Actor::Unrecorded,
            client("worker")
        ]
    );
}

#[tokio::test]
async fn the_stream_repeats_shuffles_retries_and_gives_up() {
    let world = World::plain().await;
    let webhook = Webhook::start().await;
    for n in 0..40 {
        world.tenant.seed_user(&format!("auth0|{n}"), json!({})).unwrap();
    }
    let log_in = || (0..40).for_each(|n| drop(world.tenant.login(&format!("auth0|{n}")).unwrap()));
    let wild = LogStream {
        delay: Duration::ZERO..=Duration::from_millis(100),
        twice: 1.0,
        shuffle: true,
        batch: 7,
        between_attempts: Duration::from_millis(5),
        ..LogStream::to(&webhook.url, "t")
    };
    for (n, format) in [Format::JsonLines, Format::JsonArray, Format::JsonObject]
        .into_iter()
        .enumerate()
    {
        world
            .tenant
            .stream_logs(LogStream {
                format,
                ..wild.clone()
            })
            .unwrap();
        log_in();
        until("all delivered twice", || world.tenant.undelivered() == 0).await;
        assert_eq!(world.tenant.delivered_log_ids().len(), 80 * (n + 1));
    }
    let bodies = webhook.bodies();
    assert!(bodies.iter().all(|body| (1..=7).contains(&records(body).len())));
    let sent: Vec<String> = bodies
        .iter()
        .flat_map(|body| records(body))
        .map(|r| r["log_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sent, world.tenant.delivered_log_ids());
    for logged in world.tenant.logged() {
        assert_eq!(sent.iter().filter(|id| **id == logged.log_id).count(), 2);
    }
    let in_order: Vec<String> = world
        .tenant
        .logged()
        .into_iter()
        .map(|record| record.log_id)
        .take(20)
        .collect();
    assert_ne!(sent[..20], in_order, "shuffled");

    *webhook.answers.lock().unwrap() = StatusCode::SERVICE_UNAVAILABLE;
    let before = webhook.bodies().len();
    world.tenant.login("auth0|0").unwrap();
    until("given up", || !world.tenant.stream_errors().is_empty()).await;
    assert_eq!(webhook.bodies().len() - before, 3);
    let error = &world.tenant.stream_errors()[0];
    assert_eq!(
        (error.status, error.log_ids.len(), world.tenant.undelivered()),
        (Some(503), 1, 0)
    );

    *webhook.answers.lock().unwrap() = StatusCode::OK;
    world.tenant.silence(true);
    world.tenant.login("auth0|1").unwrap();
    world.tenant.silence(false);
    world.tenant.login("auth0|2").unwrap();
    until("the last one", || world.tenant.undelivered() == 0).await;
    assert_eq!(world.tenant.silenced_log_ids().len(), 1);
    let last = webhook.bodies();
    assert!(
        !last
            .iter()
            .any(|body| body.contains(&world.tenant.silenced_log_ids()[0]))
    );
}
