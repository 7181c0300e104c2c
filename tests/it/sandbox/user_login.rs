//! Users who sign up and log in at the stand-in tenant, and their tokens for the data API.
//!
//! Owns the story from the first token to the claim of a role and its loss. Every response is the tenant's or the API's
//! own, over HTTP.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use rolekeeper_sandbox::tenant::{APP_CLIENT, Action, TenantOptions};
use serde_json::{Value, json};

use crate::world::World;
use crate::world::data_api::AUDIENCE;
use crate::world::events::{plays, retraction};

const NAMESPACE: &str = "https://music.example";
const EMAIL: &str = "ann@example.com";
const PASSWORD: &str = "correct horse battery staple";

struct App {
    world: World,
    api: String,
    http: reqwest::Client,
}

impl App {
    async fn start() -> Self {
        let world = World::builder()
            .env("API_AUDIENCE", AUDIENCE)
            .env("API_KEYS_COOL_DOWN_S", 1)
            .env("API_BURST", 100_000)
            .tenant(TenantOptions {
                api: Some(AUDIENCE.to_owned()),
                action: Some(Action {
                    namespace: NAMESPACE.to_owned(),
                    default_display_name: Some("user".to_owned()),
                }),
                ..TenantOptions::default()
            })
            .start()
            .await;
        world.connect_log_stream().await;
        Self {
            api: format!("http://{}", world.worker().address("LISTEN").await),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
            world,
        }
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.world.tenant.base_url()));
        let answer = request.json(&body).send().await.expect("the tenant responds");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn sign_up(&self) -> (u16, Value) {
        let body = json!({"client_id": APP_CLIENT, "connection": "Username-Password-Authentication",
            "email": EMAIL, "password": PASSWORD});
        self.post("/dbconnections/signup", body).await
    }

    async fn log_in(&self, name: &str, password: &str, scope: &str) -> (u16, Value) {
        let body = json!({"grant_type": "password", "client_id": APP_CLIENT, "username": name,
            "password": password, "audience": AUDIENCE, "scope": scope});
        self.post("/oauth/token", body).await
    }

    /// Both tokens of a login that requests roles.
    async fn tokens(&self) -> (String, String) {
        let (status, body) = self
            .log_in(EMAIL, PASSWORD, "openid roles read:app write:app")
            .await;
        assert_eq!(status, 200, "{body}");
        let token = |name: &str| body[name].as_str().expect("a token").to_owned();
        (token("id_token"), token("access_token"))
    }

    async fn ask(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.api))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the API responds");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn failures(&self) -> Vec<String> {
        let logged = self.world.tenant.logged();
        let kinds = logged.into_iter().map(|one| one.kind);
        kinds.filter(|kind| kind.starts_with('f')).collect()
    }
}

/// The claims of a token, unchecked: the API decides about its validity.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&json).expect("JSON")
}

fn claim(token: &str, name: &str) -> Value {
    claims(token)[format!("{NAMESPACE}/{name}")].clone()
}

/// Signs up and returns the user's id and, from a first login, her two tokens.
async fn signed_up(app: &App) -> (String, String, String) {
    let (status, user) = app.sign_up().await;
    assert_eq!((status, &user["email"]), (200, &json!(EMAIL)), "{user}");
    let (id_token, token) = app.tokens().await;
    (
        format!("auth0|{}", user["_id"].as_str().expect("an id")),
        id_token,
        token,
    )
}

/// The status that a request to feature the playlist gets.
async fn featured(app: &App, token: &str, playlist: &str) -> u16 {
    let body = Some(json!({"playlist_id": playlist}));
    app.ask(Method::PUT, "/playlists/featured", token, body).await.0
}

#[tokio::test]
async fn a_claim_of_the_token_follows_the_name() {
    let app = App::start().await;
    let (id, id_token, token) = signed_up(&app).await;
    assert_eq!(claims(&id_token)["sub"], id.as_str());
    assert_eq!(claim(&id_token, "displayName"), "user");
    let name_at_tenant =
        || app.world.tenant.user(&id).expect("the user")["user_metadata"]["displayName"].clone();
    assert_eq!(name_at_tenant(), "user");

    let name = Some(json!({"displayName": "Ann"}));
    assert_eq!(app.ask(Method::PUT, "/displayName", &token, name).await.0, 202);
    let named = async || name_at_tenant() == "Ann";
    app.world.eventually("the name is written", named).await;
    assert_eq!(claim(&app.tokens().await.0, "displayName"), "Ann");
}

#[tokio::test]
async fn a_claim_of_the_token_follows_the_role() {
    let app = App::start().await;
    let (id, id_token, token) = signed_up(&app).await;
    assert_eq!(claim(&id_token, "roles"), Value::Null);
    let road = Some(json!({"name": "Road"}));
    let (status, made) = app.ask(Method::POST, "/playlists", &token, road).await;
    assert_eq!(status, 202, "{made}");
    let playlist = made["playlist_id"].as_str().expect("an id");
    assert_eq!(featured(&app, &token, playlist).await, 403);
    app.world.publish(&plays("walk", playlist, 0..100)).await;
    let greeted = async || app.ask(Method::GET, "/me", &token, None).await.1["greeting"] == "EDITOR";
    app.world.eventually("greeted as an editor", greeted).await;

    let (id_token, token) = app.tokens().await;
    for token in [&id_token, &token] {
        assert_eq!(claim(token, "roles"), json!(["playlist_editor"]));
    }
    let unasked = app.log_in(EMAIL, PASSWORD, "openid").await.1;
    let unasked = unasked["access_token"].as_str().expect("a token");
    assert_eq!(claim(unasked, "roles"), Value::Null);
    assert_eq!(featured(&app, &token, playlist).await, 204);

    app.world.publish(&[retraction("back", "walk-7", playlist)]).await;
    let gone = async || app.world.tenant.user(&id).expect("the user")["app_metadata"]["roles"] == json!([]);
    app.world.eventually("the role is gone at the tenant", gone).await;
    let refused = async || featured(&app, &token, playlist).await == 403;
    app.world.eventually("featuring is refused", refused).await;
    assert_eq!(claim(&app.tokens().await.1, "roles"), json!([]));
}

#[tokio::test]
async fn who_may_not_come_in_is_told_as_auth0_tells_it() {
    let app = App::start().await;
    assert_eq!(app.sign_up().await.0, 200);
    let (status, taken) = app.sign_up().await;
    assert_eq!((status, &taken["code"]), (400, &json!("user_exists")));
    for (name, password) in [(EMAIL, "wrong"), ("unknown@example.com", PASSWORD)] {
        let (status, body) = app.log_in(name, password, "openid").await;
        let wrong = json!({"error": "invalid_grant", "error_description": "Wrong email or password."});
        assert_eq!((status, body), (403, wrong));
    }
    assert_eq!(app.failures(), ["fp", "fu"]);
    assert_eq!(app.log_in(EMAIL, PASSWORD, "openid").await.0, 200);
}

#[tokio::test]
async fn a_new_signing_key_is_accepted_beside_the_old_one() {
    let app = App::start().await;
    app.sign_up().await;
    let me = async |token: &str| app.ask(Method::GET, "/me", token, None).await.0;
    let (_, before) = app.tokens().await;
    assert_eq!(me(&before).await, 200);
    app.world.tenant.rotate_signing_key().expect("a key");
    let (_, after) = app.tokens().await;
    let header = |token: &str| token.split('.').next().map(str::to_owned);
    assert_ne!(header(&before), header(&after));
    let believed = async || me(&after).await == 200;
    app.world.eventually("the new key is accepted", believed).await;
    assert_eq!(me(&before).await, 200);
    // The next rotation withdraws the first key.
    app.world.tenant.rotate_signing_key().expect("a key");
    let (_, newest) = app.tokens().await;
    let believed = async || me(&newest).await == 200;
    app.world.eventually("the newest key is accepted", believed).await;
    assert_eq!(me(&before).await, 401);
}

/// Each request of a flood waits for Postgres, in the worker that folds, reconciles and serves probes.
#[tokio::test]
async fn m14_a_flood_of_slow_requests_holds_up_no_role_and_no_probe() {
    let app = App::start().await;
    let world = &app.world;
    assert_eq!(app.sign_up().await.0, 200);
    let (_, token) = app.tokens().await;
    let mut gate = world.db.begin().await.expect("a transaction");
    let close = sqlx::query("LOCK TABLE songs IN ACCESS EXCLUSIVE MODE");
    close.execute(&mut *gate).await.expect("a lock");
    let flood = futures_util::future::join_all((0..60).map(|_| app.ask(Method::GET, "/songs", &token, None)));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let meanwhile = async {
        world
            .eventually("requests wait for Postgres", async || {
                world.number(waiting).await >= Some(6)
            })
            .await;
        world.seed_user("auth0|bob", &[]);
        world.earn("auth0|bob", "pl_b").await;
        world
            .eventually("a role is written", async || {
                world.roles("auth0|bob") == ["playlist_editor"]
            })
            .await;
        assert!(world.worker().is_ready().await);
        assert!(world.number(waiting).await >= Some(6), "the flood is over");
        gate.rollback().await.expect("an open gate");
    };
    tokio::join!(flood, meanwhile);
}
