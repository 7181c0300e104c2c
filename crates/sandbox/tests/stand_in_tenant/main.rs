//! The program `rolekeeper-tenant` as its users see it: what it prints, serves and refuses, and how it ends.
//!
//! Owns the program's own stories; what the tenant answers is tested beside its code. Must never wait without a bound.

// `cfg(test)` is always set here; it tells clippy that helpers are tests too.
#[cfg(test)]
mod program;

use std::fs;
use std::net::TcpListener as Taken;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use program::{BOUND, StandIn, file, gone, refusal};

#[tokio::test]
async fn it_serves_a_token_and_a_user_from_the_file() {
    let user = json!({
        "user_id": "google-oauth2|42", "email": "ada@example.com", "email_verified": true, "name": "Ada",
        "nickname": "ada", "picture": "https://example.com/ada.png", "logins_count": 3, "locale": "en",
        "created_at": "2024-01-01T00:00:00.000Z", "updated_at": "2025-01-01T00:00:00.000Z",
        "identities": [{"connection": "google-oauth2", "provider": "google-oauth2", "user_id": "42", "isSocial": true}],
        "app_metadata": {"roles": ["dj"]},
    });
    let (_kept, path) = file(&json!([user]).to_string());
    let tenant = StandIn::start(&["--users", &path]).await;
    let token = tenant.token().await;
    let read = tenant
        .call(&token, "GET", "users/google-oauth2%7C42", json!({}))
        .await;
    assert_eq!(read, (200, user));
    assert_eq!(tenant.shown("users "), "1");
}

#[tokio::test]
async fn a_user_of_the_file_logs_in_for_the_api_given() {
    let user = json!({"user_id": "auth0|1", "email": "a@example.com", "password": "a-password"});
    let (_kept, path) = file(&json!([user]).to_string());
    let api = "https://api.example.com";
    let tenant = StandIn::start(&["--users", &path, "--api", api]).await;
    let asked = json!({
        "grant_type": "password", "client_id": tenant.shown("users' app"), "username": "a@example.com",
        "password": "a-password", "audience": api,
    });
    let answer = tenant.token_for(asked).await;
    let token = answer["access_token"].as_str().unwrap_or_default();
    assert_eq!(token.split('.').count(), 3, "{answer}");
}

#[tokio::test]
async fn it_is_ready_within_a_second() {
    let started = Instant::now();
    let _tenant = StandIn::start(&[]).await;
    let took = started.elapsed();
    assert!(took <= Duration::from_secs(1), "ready after {took:?}");
}

#[tokio::test]
async fn sigterm_and_ctrl_c_end_it_with_0_and_leave_nothing() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let tenant = StandIn::start(&["--tls"]).await;
        let authority = PathBuf::from(tenant.shown("CA file"));
        assert!(authority.exists());
        assert_eq!(tenant.end_by(signal).await.code(), Some(0), "{signal}");
        gone(authority.parent().and_then(Path::parent).unwrap()).await;
    }
}

#[tokio::test]
async fn with_tls_its_own_authority_is_enough() {
    let tenant = StandIn::start(&["--tls"]).await;
    let authority = fs::read(tenant.shown("CA file")).unwrap();
    let trusted = reqwest::Certificate::from_pem(&authority).unwrap();
    let http = reqwest::Client::builder().no_proxy().timeout(BOUND);
    let http = http.tls_certs_only([trusted]).build().unwrap();
    let answer = http.get(tenant.shown("JWKS")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_bad_users_file_is_refused_by_entry_and_field() {
    let table = [
        (
            r#"[{"user_id": "a|1"}, {"email": 1}]"#,
            "entry 2: user_id: it is missing",
        ),
        (
            r#"[{"user_id": "a|1", "app_metadata": []}]"#,
            "entry 1 (a|1): app_metadata: expected an object",
        ),
        (
            r#"[{"user_id": "a|1"}, {"user_id": "a|1"}]"#,
            "entry 2 (a|1): user_id: another user",
        ),
        (r#"["a|1"]"#, "entry 1: user: expected an object"),
        (r#"{"users": []}"#, "take its field `users`"),
        ("{}\n{}", "with `jq -s .`"),
    ];
    for (content, expected) in table {
        let (_kept, path) = file(content);
        let said = refusal(&["--users", &path]).await;
        assert!(said.contains(&format!("--users {path}: ")), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_refused_by_its_flag() {
    let table = [
        (&["--users", "/no/such/file"][..], "--users /no/such/file"),
        (&["--scope", "read:users read:logs"], "repeat --scope"),
        (&["--plan", "gold"], "--plan <PLAN>"),
        (
            &["--logs-to", "127.0.0.1", "--logs-token", "t"],
            "--logs-to <URL>",
        ),
        (&["--logs-to", "http://127.0.0.1:1/"], "--logs-token <TOKEN>"),
        (&["--client-id", ""], "--client-id <ID>"),
    ];
    for (args, expected) in table {
        let said = refusal(args).await;
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn a_taken_port_is_refused_with_the_way_out() {
    let taken = Taken::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = refusal(&["--port", &port]).await;
    assert!(
        said.contains(&format!("--port {port}: another process listens")),
        "{said}"
    );
    assert!(said.contains("0 for any free one"), "{said}");
}

#[tokio::test]
async fn it_listens_where_it_is_told() {
    let free = Taken::bind(("127.0.0.1", 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let tenant = StandIn::start(&["--port", &address.port().to_string()]).await;
    assert_eq!(tenant.shown("base URL"), format!("http://{address}"));
}

#[tokio::test]
async fn scopes_and_plan_are_those_given() {
    let tenant = StandIn::start(&["--scope", "read:users", "--plan", "free"]).await;
    let token = tenant.token().await;
    assert_eq!(token["scope"], "read:users");
    let created = tenant.call(&token, "POST", "users", json!({})).await;
    assert_eq!(created.0, 403);
    // At once and far more than the plan lets through, so that a slow machine cannot space them out.
    let calls = (0..40).map(|_| tenant.call(&token, "GET", "users", json!({})));
    let answers = join_all(calls).await;
    let refused = answers.iter().filter(|(status, _)| *status == 429).count();
    assert!(refused > 0, "{answers:?}");
}

#[tokio::test]
async fn log_records_go_to_the_webhook() {
    let (sent, mut received) = mpsc::unbounded_channel();
    let webhook = Router::new().fallback(post(async move |headers: HeaderMap, body: String| {
        let _ = sent.send((headers["authorization"].clone(), body));
    }));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/logs", listener.local_addr().unwrap());
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move { axum::serve(listener, webhook).await });
    let args = ["--name", "acme", "--logs-to", &url, "--logs-token", "Bearer t"];
    let tenant = StandIn::start(&args).await;
    let token = tenant.token().await;
    let user = json!({"connection": "Username-Password-Authentication", "email": "a@example.com"});
    assert_eq!(tenant.call(&token, "POST", "users", user).await.0, 201);
    let (authorization, body) = timeout(BOUND, received.recv()).await.expect("no post").unwrap();
    assert_eq!(authorization, "Bearer t");
    assert!(body.contains(r#""tenant_name":"acme""#), "{body}");
}
