//! The client against a scripted server over real HTTP.
//!
//! Owns the expected relation between our request and the server's response. Must never ask the client what it sent:
//! the server records what it received.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::token::Tokens;
use super::*;
use crate::config::ClientCredential;
use rolekeeper_domain::ids::UserId;

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

#[tokio::test]
async fn one_stale_token_is_replaced_and_a_second_401_stops() {
    let tenant = Tenant::new(vec![], vec![Say::status(401), Say::user()]).await;
    patch(&tenant).await.result.unwrap();
    let used: Vec<_> = tenant
        .got("PATCH")
        .into_iter()
        .map(|got| got.authorization)
        .collect();
    assert_eq!(used, ["Bearer token-1", "Bearer token-2"]);

    let body = json!({"statusCode": 401, "message": "Invalid token."});
    let tenant = Tenant::new(vec![], vec![Say::json(401, &body), Say::json(401, &body)]).await;
    let Err(CallError::Refused {
        status: 401, message, ..
    }) = get(&tenant).await.result
    else {
        panic!("expected Refused")
    };
    assert!(message.contains("Invalid token."), "{message}");
    assert_eq!((tenant.got("GET").len(), tenant.token_requests()), (2, 2));
}

#[tokio::test]
async fn many_callers_share_one_token_request_and_its_failure() {
    for (token, good) in [(Say::token("t", 86_400), true), (Say::status(503), false)] {
        let tenant = Tenant::new(vec![token], vec![]).await;
        let reader = Reader::new(&tenant.client());
        let mut callers = JoinSet::new();
        for _ in 0..20 {
            let reader = reader.clone();
            callers.spawn(async move { reader.get_user(&user()).await });
        }
        for reply in callers.join_all().await {
            if good {
                reply.result.unwrap();
            } else {
                assert_eq!(later(reply), (LaterWhy::TokenUnavailable, Outcome::NotSent));
            }
        }
        assert_eq!(tenant.token_requests(), 1);
        assert_eq!(tenant.got("GET").len(), if good { 20 } else { 0 });
    }
}

#[tokio::test]
async fn callers_with_the_same_stale_token_renew_it_once() {
    let tenant = Tenant::new(vec![], vec![]).await;
    tenant.script.lock().unwrap().revoked = "Bearer token-1";
    let reader = Reader::new(&tenant.client());
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let reader = reader.clone();
        callers.spawn(async move { reader.get_user(&user()).await });
    }
    for reply in callers.join_all().await {
        reply.result.unwrap();
    }
    assert_eq!(tenant.token_requests(), 2);
}

#[tokio::test]
async fn a_token_at_its_end_is_renewed_and_used_to_the_end_when_that_fails() {
    let answers = vec![
        Say::token("first", 86_400),
        Say::status(503),
        Say::token("second", 0),
    ];
    let tenant = Tenant::new(answers, vec![]).await;
    let tokens = Tokens {
        http: plain_http(&tenant),
        endpoint: format!("{}/oauth/token", tenant.url),
        audience: "a".to_owned(),
        client_id: "c".to_owned(),
        credential: ClientCredential::Secret(SECRET.into()),
        issuer: String::new(),
        state: tokio::sync::Mutex::default(),
        app_metadata_shown: AtomicBool::default(),
    };
    let name = async || {
        tokens
            .get(None)
            .await
            .map(|token| token.expose().to_owned())
            .map_err(|no| no.error)
    };
    assert_eq!(name().await.unwrap(), "first");

    // Inside the margin, with a failing token endpoint, the old token is used.
    tokens.state.lock().await.cached.as_mut().unwrap().refresh_at = Instant::now();
    assert_eq!(name().await.unwrap(), "first");
    // After its expiry it is not used, and the failure is remembered: no request follows at once.
    tokens.state.lock().await.cached.as_mut().unwrap().expires_at = Instant::now();
    assert!(matches!(
        name().await,
        Err(CallError::Later {
            why: LaterWhy::TokenUnavailable,
            ..
        })
    ));
    assert_eq!(tenant.token_requests(), 2);
    // After the cool-down a request is sent, and a token without any life is not cached.
    tokens.state.lock().await.failed = None;
    assert_eq!(name().await.unwrap(), "second");
    assert_eq!(name().await.unwrap(), "token-4");
}

#[tokio::test]
async fn a_token_that_ends_before_the_write_is_renewed_before_the_read() {
    let tenant = Tenant::new(vec![], vec![]).await;
    let client = tenant.client();
    let reader = Reader::new(&client);
    let lasting = Duration::from_secs(12);
    reader.prepare(lasting).await.result.unwrap();
    reader.prepare(lasting).await.result.unwrap();
    assert_eq!(tenant.token_requests(), 1);
    let soon = Instant::now() + Duration::from_secs(5);
    client
        .tokens
        .state
        .lock()
        .await
        .cached
        .as_mut()
        .unwrap()
        .refresh_at = soon;
    reader.prepare(lasting).await.result.unwrap();
    assert_eq!((tenant.token_requests(), tenant.got("/api/v2/").len()), (2, 0));
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
async fn a_token_endpoint_that_refuses_stops_everyone_and_is_not_asked_at_once_again() {
    let body = json!({"error": "access_denied", "error_description": "Unauthorized"});
    let tenant = Tenant::new(vec![Say::json(401, &body)], vec![]).await;
    let reader = Reader::new(&tenant.client());
    for _ in 0..2 {
        let reply = reader.get_user(&user()).await;
        let Err(CallError::Scope { message }) = reply.result else {
            panic!("expected Scope")
        };
        assert!(
            message.contains("Unauthorized") && !message.contains(SECRET),
            "{message}"
        );
    }
    assert_eq!((tenant.token_requests(), tenant.got("GET").len()), (1, 0));
}

#[tokio::test]
async fn a_limited_token_endpoint_passes_on_how_long_to_wait() {
    let limited = Say::Answer(
        429,
        &[("retry-after", "30"), ("x-ratelimit-remaining", "0")],
        String::new(),
    );
    let tenant = Tenant::new(vec![limited], vec![]).await;
    let reply = get(&tenant).await;
    let expected = RateHeaders {
        retry_after: Some(Duration::from_secs(30)),
        ..RateHeaders::default()
    };
    assert_eq!(reply.rate, expected);
    assert_eq!(later(reply), (LaterWhy::TokenUnavailable, Outcome::NotSent));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_a_write_unknown() {
    let html = || {
        Say::Answer(
            200,
            &[("content-type", "text/html")],
            "<html>hello</html>".to_owned(),
        )
    };
    let not_a_user = || Say::json(200, &json!({"ok": true}));
    let redirect = || Say::Answer(302, &[("location", "/elsewhere")], String::new());
    let too_large = || Say::Answer(200, &[], " ".repeat(2 * 1024 * 1024));
    for odd in [|| Say::Torn, html, not_a_user, redirect, too_large] {
        let tenant = Tenant::new(vec![], vec![odd(), odd()]).await;
        assert_eq!(later(get(&tenant).await), (LaterWhy::BadAnswer, Outcome::NotSent));
        assert_eq!(
            later(patch(&tenant).await),
            (LaterWhy::BadAnswer, Outcome::Unknown)
        );
        assert!(tenant.got("/elsewhere").is_empty());
    }
    let tenant = Tenant::new(vec![], vec![Say::status(503), Say::status(524)]).await;
    assert_eq!(later(get(&tenant).await), (LaterWhy::Server, Outcome::NotSent));
    assert_eq!(later(patch(&tenant).await), (LaterWhy::Server, Outcome::Unknown));
}

#[tokio::test]
async fn silence_ends_at_the_timeout_and_nobody_there_is_the_network() {
    let impatient = |tenant: &Tenant| {
        let options = ClientOptions {
            request_timeout: Duration::from_millis(300),
            ..tenant.options()
        };
        Client::new(options).unwrap()
    };
    let body = json!({"user_metadata": {"displayName": "x"}});
    let tenant = Tenant::new(vec![], vec![Say::Silence]).await;
    let reply = Writer::new(&impatient(&tenant))
        .patch_user(&user(), &body, soon())
        .await;
    assert_eq!(later(reply), (LaterWhy::Timeout, Outcome::Unknown));

    let tenant = Tenant::new(vec![Say::Silence], vec![]).await;
    let reply = Writer::new(&impatient(&tenant))
        .patch_user(&user(), &body, soon())
        .await;
    assert_eq!(later(reply), (LaterWhy::TokenUnavailable, Outcome::NotSent));

    // The client has a token, and then the server is gone.
    let mut tenant = Tenant::new(
        vec![],
        vec![Say::Answer(200, &[("connection", "close")], String::new())],
    )
    .await;
    let writer = Writer::new(&tenant.client());
    writer
        .patch_user(&user(), &body, soon())
        .await
        .result
        .unwrap_err();
    tenant.server.shutdown().await;
    let reply = writer.patch_user(&user(), &body, soon()).await;
    let text = reply.result.as_ref().unwrap_err().to_string();
    assert_eq!(later(reply), (LaterWhy::Network, Outcome::NotSent), "{text}");
    assert!(!text.contains("auth0%7C") && !text.contains("token-"), "{text}");
}

#[tokio::test]
async fn a_429_is_limited_with_and_without_headers() {
    let headers: &[_] = &[
        ("X-RateLimit-Limit", "50"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset", "1795000000"),
    ];
    let tenant = Tenant::new(
        vec![],
        vec![Say::Answer(429, headers, "{}".to_owned()), Say::status(429)],
    )
    .await;
    let reply = get(&tenant).await;
    assert_eq!(reply.result, Err(CallError::Limited));
    assert_eq!(
        (reply.rate.limit, reply.rate.remaining, reply.rate.reset_unix_s),
        (Some(50), Some(0), Some(1_795_000_000))
    );
    let reply = patch(&tenant).await;
    assert_eq!(
        (reply.result, reply.rate),
        (Err(CallError::Limited), RateHeaders::default())
    );
}

#[tokio::test]
async fn four_hundreds_say_who_acts() {
    let gone = json!({"statusCode": 404, "error": "Not Found", "message": "The user does not exist.", "errorCode": "inexistent_user"});
    let forbidden = json!({"statusCode": 403, "error": "Forbidden", "message": "Insufficient scope, expected any of: update:users"});
    let invalid = json!({"statusCode": 400, "error": "Bad Request", "message": "Payload validation error", "errorCode": "invalid_body"});
    let answers = vec![
        Say::json(404, &gone),
        Say::status(404),
        Say::json(403, &forbidden),
        Say::json(400, &invalid),
    ];
    let tenant = Tenant::new(vec![], answers).await;
    assert!(matches!(patch(&tenant).await.result, Err(CallError::Gone { .. })));
    assert_eq!(
        later(patch(&tenant).await),
        (LaterWhy::NotFound, Outcome::Unknown)
    );
    let Err(CallError::Scope { message }) = patch(&tenant).await.result else {
        panic!("expected Scope")
    };
    assert!(message.contains("update:users"), "{message}");
    let refused = CallError::Refused {
        status: 400,
        error_code: Some("invalid_body".to_owned()),
        message: "Payload validation error".to_owned(),
    };
    assert_eq!(patch(&tenant).await.result, Err(refused));
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

#[tokio::test]
async fn the_audience_is_the_configured_one() {
    let tenant = Tenant::new(vec![], vec![]).await;
    let options = ClientOptions {
        audience: Some("https://t.eu.auth0.com/api/v2/".to_owned()),
        ..tenant.options()
    };
    Reader::new(&Client::new(options).unwrap())
        .get_user(&user())
        .await
        .result
        .unwrap();
    assert_eq!(
        tenant.got("/oauth/token")[0].body["audience"],
        "https://t.eu.auth0.com/api/v2/"
    );
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
