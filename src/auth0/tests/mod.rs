//! The client against a scripted server over real HTTP.
//!
//! Owns the expected relation between our request and the server's response. Must never ask the client what it sent:
//! the server records what it received.

mod access_tokens;
mod export_files;
mod responses;
mod tokens;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use rolekeeper_domain::ids::UserId;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::token::Tokens;
use super::*;
use crate::config::ClientCredential;

const SECRET: &str = "c1ient-s3cret";
/// Request timeout, longer than any response of the scripted server takes, unless it is silent on purpose.
const PATIENT: Duration = Duration::from_secs(10);

/// The server's response to one request.
enum Say {
    Answer(u16, &'static [(&'static str, &'static str)], String),
    /// Status 200, the first half of a user, then a closed connection.
    Torn,
    /// No response at all.
    Silence,
}

impl Say {
    fn user() -> Self {
        Self::json(
            200,
            &json!({"user_id": "auth0|abc", "app_metadata": {"roles": ["a"]}}),
        )
    }

    fn token(name: &str, expires_in: u64) -> Self {
        Self::json(
            200,
            &json!({"access_token": name, "expires_in": expires_in, "token_type": "Bearer"}),
        )
    }

    fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, &[("content-type", "application/json")], body.to_string())
    }

    fn status(status: u16) -> Self {
        Self::Answer(status, &[], String::new())
    }
}

/// A request that the server received.
#[derive(Clone, Debug)]
struct Got {
    line: String,
    authorization: String,
    user_agent: String,
    body: Value,
}

#[derive(Default)]
struct Script {
    tokens: VecDeque<Say>,
    calls: VecDeque<Say>,
    /// An `Authorization` that always gets a 401, whatever the script contains.
    revoked: &'static str,
    got: Vec<Got>,
}

/// A scripted tenant; once the script is used up, tokens are `token-N` for a day and calls find the user.
struct Tenant {
    url: String,
    script: Arc<Mutex<Script>>,
    server: JoinSet<()>,
}

impl Tenant {
    async fn new(tokens: Vec<Say>, calls: Vec<Say>) -> Self {
        let script = Script {
            tokens: tokens.into(),
            calls: calls.into(),
            ..Script::default()
        };
        let script = Arc::new(Mutex::new(script));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, script, server }
    }

    fn options(&self) -> ClientOptions {
        ClientOptions {
            domain: self.url.clone(),
            audience: None,
            client_id: "client".to_owned(),
            credential: ClientCredential::Secret(SECRET.into()),
            request_timeout: PATIENT,
            ca_file: None,
        }
    }

    fn client(&self) -> Client {
        Client::new(self.options()).unwrap()
    }

    fn got(&self, path_start: &str) -> Vec<Got> {
        let script = self.script.lock().unwrap();
        script
            .got
            .iter()
            .filter(|got| got.line.contains(path_start))
            .cloned()
            .collect()
    }

    fn token_requests(&self) -> usize {
        self.got("/oauth/token").len()
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (authorization, user_agent) = (header(&request, "authorization"), header(&request, "user-agent"));
    let line = format!("{} {}", request.method(), request.uri());
    let for_token = request.uri().path() == "/oauth/token";
    let body = axum::body::to_bytes(request.into_body(), usize::MAX)
        .await
        .unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let say = {
        let mut script = script.lock().unwrap();
        let is_revoked = !script.revoked.is_empty() && authorization == script.revoked;
        script.got.push(Got {
            line,
            authorization,
            user_agent,
            body,
        });
        if for_token {
            let count = script
                .got
                .iter()
                .filter(|got| got.line.contains("/oauth/token"))
                .count();
            script
                .tokens
                .pop_front()
                .unwrap_or_else(|| Say::token(&format!("token-{count}"), 86_400))
        } else if is_revoked {
            Say::status(401)
        } else {
            script.calls.pop_front().unwrap_or_else(Say::user)
        }
    };
    match say {
        Say::Answer(status, headers, body) => {
            let builder = headers
                .iter()
                .fold(Response::builder().status(status), |b, (k, v)| b.header(*k, *v));
            builder.body(Body::from(body)).unwrap()
        }
        Say::Torn => {
            let half = stream::iter([Ok(r#"{"user_id":"auth0|a"#)]);
            let cut = stream::once(async {
                // The server must send the first half before it notices the closed connection.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut"))
            });
            Response::new(Body::from_stream(half.chain(cut)))
        }
        Say::Silence => std::future::pending().await,
    }
}

fn header(request: &Request, name: &str) -> String {
    let value = request.headers().get(name);
    value
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

/// Returns the time until which a write that begins now may be sent.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(2)
}

fn user() -> UserId<'static> {
    UserId::parse("auth0|abc").unwrap()
}

async fn get(tenant: &Tenant) -> Reply<Profile> {
    Reader::new(&tenant.client()).get_user(&user()).await
}

async fn patch(tenant: &Tenant) -> Reply<Profile> {
    let body = json!({"app_metadata": {"roles": ["a", "b"]}});
    Writer::new(&tenant.client())
        .patch_user(&user(), &body, soon())
        .await
}

fn plain_http(tenant: &Tenant) -> reqwest::Client {
    http::build_http(&tenant.url.parse().unwrap(), PATIENT, None).unwrap()
}

/// Returns kind and outcome of a temporary error.
fn later<T>(reply: Reply<T>) -> (LaterWhy, Outcome) {
    match reply.result.map(|_| ()) {
        Err(CallError::Later { why, outcome, .. }) => (why, outcome),
        other => panic!("expected Later, got {other:?}"),
    }
}

#[tokio::test]
async fn a_user_is_read_and_patched_with_the_token_and_a_name() {
    let tenant = Tenant::new(vec![], vec![]).await;
    let client = tenant.client();
    let seen = Reader::new(&client).get_user(&user()).await.result.unwrap();
    assert_eq!(seen.json()["app_metadata"]["roles"], json!(["a"]));
    let body = json!({"app_metadata": {"roles": ["a", "b"]}});
    Writer::new(&client)
        .patch_user(&user(), &body, soon())
        .await
        .result
        .unwrap();

    let calls = tenant.got("/api/v2/");
    assert_eq!(calls[0].line, "GET /api/v2/users/auth0%7Cabc");
    assert_eq!(calls[1].line, "PATCH /api/v2/users/auth0%7Cabc");
    assert_eq!(calls[1].body, body);
    assert!(calls.iter().all(|call| call.authorization == "Bearer token-1"));
    assert!(
        calls[0].user_agent.starts_with("rolekeeper/"),
        "{}",
        calls[0].user_agent
    );
    let asked = &tenant.got("/oauth/token")[..];
    let audience = format!("{}/api/v2/", tenant.url);
    let expected = json!({"grant_type": "client_credentials", "client_id": "client", "client_secret": SECRET, "audience": audience});
    assert_eq!((asked.len(), &asked[0].body), (1, &expected));
}

#[tokio::test]
async fn ids_are_percent_encoded_once_and_cannot_leave_their_place() {
    let cases = [
        ("samlp|conn|a+b@c.d", "samlp%7Cconn%7Ca%2Bb%40c.d"),
        ("auth0|a b/../c?d#e", "auth0%7Ca%20b%2F..%2Fc%3Fd%23e"),
        ("already%7Cencoded", "already%257Cencoded"),
        ("é|~-._", "%C3%A9%7C~-._"),
    ];
    let shown = cases.map(|(id, _)| Say::json(200, &json!({"user_id": id})));
    let tenant = Tenant::new(vec![], shown.into()).await;
    let reader = Reader::new(&tenant.client());
    for (id, encoded) in cases {
        reader.get_user(&UserId::parse(id).unwrap()).await.result.unwrap();
        let line = tenant.got("/api/v2/").pop().unwrap().line;
        assert_eq!(line, format!("GET /api/v2/users/{encoded}"));
    }
    let sent = tenant.got("/api/v2/").len();
    for id in [".", ".."] {
        let reply = reader.get_user(&UserId::parse(id).unwrap()).await;
        assert_eq!(reply.result, Err(CallError::Gone { at: None }));
    }
    assert_eq!(tenant.got("/api/v2/").len(), sent);
}

/// A client with the webhook's token names it.
#[tokio::test]
async fn the_id_of_a_record_is_no_path_of_the_api() {
    let tenant = Tenant::new(vec![], vec![]).await;
    let logs = LogReader::new(&tenant.client());
    for id in [".", ".."] {
        assert_eq!(logs.one(id).await.result, Ok(None), "{id}");
    }
    assert!(tenant.got("/api/v2/").is_empty());
}

#[tokio::test]
async fn a_write_whose_time_is_over_is_not_sent() {
    let tenant = Tenant::new(vec![], vec![]).await;
    let writer = Writer::new(&tenant.client());
    let body = json!({"app_metadata": {"roles": ["a"]}});
    let late = writer
        .patch_user(&user(), &body, Instant::now() - Duration::from_secs(1))
        .await;
    assert_eq!(later(late), (LaterWhy::TooLate, Outcome::NotSent));
    assert_eq!(tenant.got("PATCH").len(), 0);
}

#[tokio::test]
async fn a_patch_that_would_delete_everything_is_never_sent() {
    let tenant = Tenant::new(vec![], vec![]).await;
    let reply = Writer::new(&tenant.client())
        .patch_user(&user(), &json!({"app_metadata": {}}), soon())
        .await;
    assert!(matches!(reply.result, Err(CallError::Refused { status: 0, .. })));
    assert!(tenant.script.lock().unwrap().got.is_empty());
}

#[test]
fn a_domain_is_a_host_and_plain_http_is_for_loopback() {
    let client = |domain: &str| {
        let domain = domain.to_owned();
        let (audience, client_id, ca_file) = (None, "c".to_owned(), None);
        Client::new(ClientOptions {
            domain,
            audience,
            client_id,
            credential: ClientCredential::Secret("s".into()),
            request_timeout: PATIENT,
            ca_file,
        })
    };
    for good in ["http://127.0.0.1:1234", "http://localhost:80/", "http://[::1]:9"] {
        assert!(client(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "http://tenant.eu.auth0.com",
        "http://127.0.0.1.example.com",
        "http://localhost@example.com",
        "ftp://localhost",
        "tenant.eu.auth0.com/api",
        "tenant eu",
        "u:p@tenant.eu.auth0.com",
        "tenant.eu.auth0.com?x",
    ] {
        assert!(
            matches!(client(bad).map(|_| ()), Err(SetupError::Domain { .. })),
            "{bad}"
        );
    }
}

#[test]
fn a_ca_file_must_hold_a_certificate() {
    for path in [
        "/nonexistent/ca.pem",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ] {
        let options = ClientOptions {
            domain: "tenant.eu.auth0.com".to_owned(),
            audience: None,
            client_id: "c".to_owned(),
            credential: ClientCredential::Secret("s".into()),
            request_timeout: PATIENT,
            ca_file: Some(path.into()),
        };
        assert!(
            matches!(Client::new(options).map(|_| ()), Err(SetupError::CaFile { .. })),
            "{path}"
        );
    }
}
