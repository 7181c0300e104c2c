//! Access: tokens that are wrong in every way, keys that change, and a key server in trouble.
//!
//! F30: access tokens with a wrong signature, `alg` none, HS256 with the public key, a wrong issuer or audience, expired, of unknown keys
//! by the thousand; rotated keys: refused; one request for keys in each cool-down.
//!
//! Owns the refusals. The key server counts the fetches of keys; the worker's own count is not used.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::World;
use crate::world::data_api::{Answer, COOL_DOWN, DataApi, KeyServer, SigningKey, encoded, unsigned};

const USER: &str = "auth0|a";

async fn status(api: &DataApi, token: &str) -> u16 {
    api.ask(Method::GET, "/songs", token, None).await.status
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

/// HS256 under the public key, in the forms that an attacker has.
fn confused(api: &DataApi) -> Vec<String> {
    let (n, e) = api.rsa.numbers();
    let message = unsigned(
        &json!({"alg": "HS256", "typ": "JWT", "kid": "rsa"}),
        &api.claims(USER),
    );
    let signed = |secret: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        format!(
            "{message}.{}",
            encoded(hmac::sign(&key, message.as_bytes()).as_ref())
        )
    };
    vec![
        signed(&n),
        signed(encoded(&n).as_bytes()),
        signed(&[n, e].concat()),
        signed(b""),
    ]
}

/// Tokens whose form, algorithm, key or signature is wrong, each with the reason that is counted.
fn forged(api: &DataApi) -> Vec<(&'static str, String)> {
    let (claims, header) = (api.claims(USER), api.rsa.header("rsa"));
    let stranger = SigningKey::rsa();
    let good = api.rsa.token(&header, &claims);
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let none = unsigned(&json!({"alg": "none", "kid": "rsa"}), &claims);
    let other = unsigned(&header, &api.claims("auth0|b"));
    let headed = |name: &str, value: Value| api.rsa.token(&with(&header, name, value), &claims);
    let elsewhere = with(&header, "jku", json!("https://evil.example/keys"));
    let mut tokens = vec![
        ("signature", stranger.token(&header, &claims)),
        ("signature", stranger.token(&elsewhere, &claims)),
        ("signature", format!("{other}.{signature}")),
        ("signature", format!("{message}.{}", encoded(&[0; 256]))),
        ("signature", format!("{message}.")),
        ("malformed", format!("{none}.")),
        ("malformed", format!("{none}.{signature}")),
        ("malformed", headed("crit", json!(["b64"]))),
        ("malformed", "not.a.token".to_owned()),
        ("malformed", "x".to_owned()),
        ("malformed", "x".repeat(20_000)),
        ("algorithm", headed("alg", json!("ES256"))),
        ("algorithm", headed("alg", json!("PS256"))),
        ("key", api.rsa.token(&without(&header, "kid"), &claims)),
    ];
    tokens.extend(confused(api).into_iter().map(|token| ("algorithm", token)));
    tokens
}

/// Tokens that are signed with the right key and say something wrong, each with the reason that is counted.
fn wrong_claims(api: &DataApi) -> Vec<(&'static str, String)> {
    let (claims, header) = (api.claims(USER), api.rsa.header("rsa"));
    let now = claims["iat"].as_i64().expect("a time");
    let said = |name: &str, value: Value| api.rsa.token(&header, &with(&claims, name, value));
    let mut tokens = vec![
        ("issuer", said("iss", json!("https://evil.example/"))),
        ("issuer", said("iss", json!(api.keys.url))),
        ("audience", said("aud", json!("https://other.example"))),
        ("audience", said("aud", json!([]))),
        ("expired", said("exp", json!(now - 60))),
        ("not_yet", said("nbf", json!(now + 60))),
        ("claims", said("exp", json!("tomorrow"))),
        ("claims", said("sub", json!(""))),
        ("claims", said("sub", json!("auth0|a\u{0}"))),
        ("claims", said("sub", json!("abc@clients"))),
    ];
    for missing in ["iss", "aud", "exp", "sub"] {
        tokens.push(("claims", api.rsa.token(&header, &without(&claims, missing))));
    }
    tokens
}

/// Checks that each token is refused as invalid and counted once under its reason.
async fn all_refused(api: &DataApi, tokens: Vec<(&str, String)>) {
    for (reason, token) in tokens {
        let series = format!("rolekeeper_api_refused_tokens_total{{reason=\"{reason}\"}}");
        let before = api.worker.count(&series).await.expect("a number");
        let got = api.ask(Method::GET, "/songs", &token, None).await;
        let code = got.code();
        assert_eq!(
            (got.status, code.as_str()),
            (401, "unauthorized"),
            "{reason} {token}"
        );
        let said = got.header("www-authenticate");
        assert!(said.contains("error=\"invalid_token\""), "{got:?}");
        let after = api.worker.count(&series).await.expect("a number");
        assert_eq!(after, before + 1, "{reason}: {token}: {got:?}");
    }
}

#[tokio::test]
async fn f30_forged_tokens_are_refused_and_counted() {
    let api = DataApi::start().await;
    assert_eq!(status(&api, &api.token(USER)).await, 200);
    let forged = forged(&api);
    all_refused(&api, forged).await;
}

#[tokio::test]
async fn f30_tokens_with_wrong_claims_are_refused_and_counted() {
    let api = DataApi::start().await;
    let wrong = wrong_claims(&api);
    all_refused(&api, wrong).await;
    // Clocks differ a little: two seconds are let through.
    let claims = api.claims(USER);
    let now = claims["iat"].as_i64().expect("a time");
    for claims in [
        with(&claims, "exp", json!(now - 2)),
        with(&claims, "nbf", json!(now + 2)),
    ] {
        let token = api.rsa.token(&api.rsa.header("rsa"), &claims);
        assert_eq!(status(&api, &token).await, 200, "{claims}");
    }
}

#[tokio::test]
async fn the_header_holds_one_token_and_nothing_else() {
    let api = DataApi::start().await;
    let good = api.token(USER);
    let got = api.ask(Method::GET, "/songs", "", None).await;
    assert_eq!(
        (got.status, got.header("www-authenticate")),
        (401, "Bearer realm=\"rolekeeper\"")
    );
    for header in ["Basic YTpi", "Bearer", "Bearer ", &good] {
        let request = api.request(Method::GET, "/songs").header("authorization", header);
        assert_eq!(DataApi::got(request).await.status, 401, "{header}");
    }
    let twice = api
        .request(Method::GET, "/songs")
        .bearer_auth(&good)
        .bearer_auth(&good);
    assert_eq!(DataApi::got(twice).await.status, 401);
    let lower = api
        .request(Method::GET, "/songs")
        .header("authorization", format!("bearer {good}"));
    assert_eq!(DataApi::got(lower).await.status, 200);
}

#[tokio::test]
async fn f30_keys_are_fetched_once_a_cool_down_whoever_asks() {
    let api = DataApi::start().await;
    assert_eq!(status(&api, &api.token(USER)).await, 200);
    let begun = Instant::now();
    let before = api.keys.fetches();
    let mut asked = 0;
    while begun.elapsed() < COOL_DOWN * 5 / 2 || asked < 2_000 {
        let tokens: Vec<String> = (0..100)
            .map(|n| {
                api.rsa.token(
                    &api.rsa.header(&format!("unknown-{asked}-{n}")),
                    &api.claims(USER),
                )
            })
            .collect();
        let answers = join_all(tokens.iter().map(|token| status(&api, token))).await;
        assert!(answers.iter().all(|status| *status == 401));
        asked += 100;
    }
    let most = begun.elapsed().as_secs() / COOL_DOWN.as_secs() + 1;
    let fetches = api.keys.fetches() - before;
    assert!(
        (1..=most).contains(&fetches),
        "{fetches} fetches for {asked} unknown keys, at most {most}"
    );
}

#[tokio::test]
async fn f30_keys_are_rotated_without_a_restart() {
    let api = DataApi::start().await;
    let ec = SigningKey::ec();
    assert_eq!(status(&api, &api.token(USER)).await, 200);
    api.keys.has(&[("rsa", &api.rsa), ("ec", &ec)]);
    let new = ec.token(&ec.header("ec"), &api.claims(USER));
    let taken = async || status(&api, &new).await == 200;
    api.world.eventually("the new key is known", taken).await;
    // A key of one algorithm is not accepted for the other.
    let claims = api.claims(USER);
    assert_eq!(
        status(&api, &api.rsa.token(&api.rsa.header("ec"), &claims)).await,
        401
    );
    assert_eq!(status(&api, &ec.token(&ec.header("rsa"), &claims)).await, 401);
    // The old one is revoked, and disappears with the next fetch.
    api.keys.has(&[("ec", &ec)]);
    let gone = async || {
        status(&api, &ec.token(&ec.header("unknown"), &claims)).await;
        status(&api, &api.token(USER)).await == 401
    };
    api.world.eventually("the old key is gone", gone).await;
    assert_eq!(status(&api, &new).await, 200);
}

#[tokio::test]
async fn a_key_server_in_trouble_stops_nobody_who_is_known() {
    let api = DataApi::start().await;
    assert_eq!(status(&api, &api.token(USER)).await, 200);
    let unknown = api.rsa.token(&api.rsa.header("unknown"), &api.claims(USER));
    let trouble = [
        (500, "{}", Duration::ZERO),
        (200, "<html>", Duration::ZERO),
        (200, r#"{"keys": []}"#, Duration::ZERO),
        (302, "", Duration::ZERO),
        (200, "{}", Duration::from_secs(20)),
    ];
    for (status_code, body, delay) in trouble {
        api.keys.answers(Answer {
            status: status_code,
            body: body.to_owned(),
            delay,
        });
        let before = api.keys.fetches();
        let asked = async || {
            assert_ne!(status(&api, &unknown).await, 200);
            api.keys.fetches() > before
        };
        api.world.eventually("keys are requested", asked).await;
        // The same while a slow fetch is in flight.
        let begun = Instant::now();
        assert_eq!(status(&api, &api.token(USER)).await, 200, "{status_code} {body}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        let unavailable = async || {
            let got = api.ask(Method::GET, "/songs", &unknown, None).await;
            got.status == 503 && got.code() == "unavailable" && !got.header("retry-after").is_empty()
        };
        api.world
            .eventually("it says that it cannot judge", unavailable)
            .await;
    }
    api.keys.has(&[("rsa", &api.rsa)]);
    let refused = async || status(&api, &unknown).await == 401;
    api.world.eventually("keys are fetched again", refused).await;
    assert_eq!(status(&api, &api.token(USER)).await, 200);
}

#[tokio::test]
async fn each_user_has_a_quota_and_nobody_feels_anothers() {
    let builder = World::builder();
    let api = DataApi::start_in(builder, &[("API_BURST", "5"), ("API_REQUESTS_PER_S", "0.05")]).await;
    for _ in 0..5 {
        assert_eq!(status(&api, &api.token(USER)).await, 200);
    }
    let got = api.get(USER, "/me").await;
    assert_eq!((got.status, got.code().as_str()), (429, "rate_limited"));
    let wait: u64 = got.header("retry-after").parse().expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(status(&api, &api.token("auth0|b")).await, 200);
}

#[tokio::test]
async fn l3_a_token_needs_the_scope_of_what_it_does() {
    let api = DataApi::start().await;
    let with_scope = |scope: &str| {
        let claims = with(&api.claims(USER), "scope", json!(scope));
        api.rsa.token(&api.rsa.header("rsa"), &claims)
    };
    let song = || Some(json!({"songname": "x"}));
    for (scopes, read, write) in [
        ("openid", 403, 403),
        ("openid read:app", 200, 403),
        ("write:app", 403, 201),
        ("read:app write:app", 200, 201),
        ("read:apps xread:app", 403, 403),
    ] {
        let token = with_scope(scopes);
        let got = api.ask(Method::GET, "/songs", &token, None).await;
        let added = api.ask(Method::POST, "/songs", &token, song()).await;
        assert_eq!((got.status, added.status), (read, write), "{scopes}");
        for (answer, missing) in [(got, "read:app"), (added, "write:app")] {
            if answer.status == 403 {
                assert_eq!(answer.code(), "missing_scope");
                assert!(answer.text.contains(missing), "{}", answer.text);
                let challenge = format!("error=\"insufficient_scope\", scope=\"{missing}\"");
                assert!(answer.header("www-authenticate").ends_with(&challenge));
            }
        }
    }
    let refused = r#"rolekeeper_api_refused_tokens_total{reason="scope"}"#;
    assert_eq!(api.worker.count(refused).await, Some(6));
}

#[tokio::test]
async fn l3_scopes_can_be_switched_off() {
    let api = DataApi::start_in(World::builder(), &[("API_SCOPES", "off")]).await;
    let claims = with(&api.claims(USER), "scope", json!("openid"));
    let token = api.rsa.token(&api.rsa.header("rsa"), &claims);
    assert_eq!(status(&api, &token).await, 200);
}

#[tokio::test]
async fn l4_tokens_of_each_listed_issuer_are_taken() {
    let issuers = "https://login.example.com/, https://music.eu.auth0.com/";
    let api = DataApi::start_in(World::builder(), &[("API_ISSUER", issuers)]).await;
    let from = |issuer: &str| {
        let claims = with(&api.claims(USER), "iss", json!(issuer));
        api.rsa.token(&api.rsa.header("rsa"), &claims)
    };
    assert_eq!(status(&api, &from("https://login.example.com/")).await, 200);
    assert_eq!(status(&api, &from("https://music.eu.auth0.com/")).await, 200);
    assert_eq!(status(&api, &from("https://evil.example.com/")).await, 401);
}

#[tokio::test]
async fn l14_keys_that_are_late_at_the_start_are_fetched_soon() {
    let keys = KeyServer::start(&[]).await;
    let env = [
        ("AUTH0_DOMAIN", keys.url.as_str()),
        ("API_KEYS_COOL_DOWN_S", "600"),
    ];
    let api = DataApi::start_in(World::builder(), &env).await;
    let claims = with(&api.claims(USER), "iss", json!(format!("{}/", keys.url)));
    let token = api.rsa.token(&api.rsa.header("rsa"), &claims);
    assert_eq!(status(&api, &token).await, 503);
    keys.has(&[("rsa", &api.rsa)]);
    api.world
        .eventually("the token is accepted", async || {
            status(&api, &token).await == 200
        })
        .await;
}
