//! F14: a token expired, revoked, for a wrong audience; the token endpoint returns 429 or 5xx; a scope removed (403):
//! one request for a token at a time; on bad credentials or a missing scope the circuit breaker opens, with an error
//! in the log and a metric; it closes by itself.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, Token};
use rolekeeper_sandbox::tenant::{Call, CallMatch, Client, Fault, TenantOptions};

use crate::world::erasure::KEY;
use crate::world::events::{plays, saved};
use crate::world::oracle::ROLE;
use crate::world::{CLIENT, World, gaps};

const PAUSED: &str = "rolekeeper_circuit_breaker_open";

/// Twenty users reach the threshold.
async fn twenty_earn(world: &World, name: &str) {
    for n in 0..20 {
        let (user, list) = (format!("auth0|{name}{n}"), format!("{name}_{n}"));
        world.seed_user(&user, &["mentor"]);
        world
            .publish(&[saved(&format!("{list}-saved"), &list, &user)])
            .await;
        world.publish(&plays(&list, &list, 0..100)).await;
    }
}

/// Breaks the credentials, lets twenty users reach the threshold, repairs them, and checks the calls in between.
async fn paused_and_mended(world: World, reason: &str, breaks: impl Fn(&World), mends: impl Fn(&World)) {
    let worker = world.worker();
    world.note_attempts().await;
    world.earn("auth0|none", "pl_none").await;
    world.quiet().await;
    breaks(&world);
    twenty_earn(&world, "ann").await;
    world
        .eventually("the circuit breaker is open", async || {
            worker.count(PAUSED).await == Some(1)
        })
        .await;
    assert_eq!(
        worker.get("/readyz/reconcile").await.map(|(status, _)| status),
        Some(503)
    );
    let in_flight = "SELECT count(*) FROM work_queue WHERE lease IS NOT NULL";
    world
        .eventually("no attempt is in flight", async || {
            world.number(in_flight).await == Some(0)
        })
        .await;
    let before = world.tenant.calls().len();
    let paused = || {
        let messages = worker.messages();
        messages
            .into_iter()
            .filter(|line| line.starts_with("reconcile is paused"))
            .collect::<Vec<_>>()
    };
    // A whole probe later nothing has changed.
    world
        .eventually("it probes", async || world.tenant.calls().len() > before)
        .await;
    assert_eq!(paused().len(), 1, "{:?}", paused());
    assert!(paused()[0].contains(reason), "{:?}", paused());
    assert!(
        world.tenant.calls().len() - before < 12,
        "{:?}",
        &world.tenant.calls()[before..]
    );
    mends(&world);
    world.settled().await;
    assert_eq!(
        (worker.count(PAUSED).await, world.attempts_noted().await),
        (Some(0), 0)
    );
    assert_eq!((paused().len(), worker.is_active("reconcile").await), (1, true));
    assert_eq!(world.roles("auth0|ann7"), ["mentor", ROLE]);
}

#[tokio::test]
async fn f14_a_refused_secret_pauses_the_stage_until_it_is_mended() {
    let set = |secret: &'static str| {
        move |world: &World| {
            world.tenant.register_client(Client::new(CLIENT, secret));
            world.tenant.revoke_tokens(CLIENT);
        }
    };
    paused_and_mended(World::start().await, "Unauthorized", set("other"), set("secret")).await;
}

#[tokio::test]
async fn f14_a_missing_scope_pauses_the_stage_until_it_is_mended() {
    let breaks = |world: &World| {
        let client = Client::new(CLIENT, "secret").with_scopes(["read:users", "read:users_app_metadata"]);
        world.tenant.register_client(client);
        world.tenant.revoke_tokens(CLIENT);
    };
    // Tokens keep the scopes of their issue: only a new one works.
    let mends = |world: &World| world.tenant.register_client(Client::new(CLIENT, "secret"));
    paused_and_mended(World::start().await, "Insufficient scope", breaks, mends).await;
}

/// A breaker of writes closes after accepted reads once each failed user has succeeded; an erased one never does.
#[tokio::test]
async fn an_erased_user_does_not_keep_the_circuit_breaker_open() {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.connect_log_stream().await;
    let write = CallMatch::to(PatchUser);
    world.tenant.hold_fault(write, Fault::status(402));
    twenty_earn(&world, "ann").await;
    let (worker, open) = (world.worker(), async |open| {
        world.worker().count(PAUSED).await == Some(open)
    });
    world
        .eventually("the circuit breaker is open", async || open(1).await)
        .await;
    for n in 0..20 {
        let user = format!("auth0|ann{n}");
        world.told(&["erase", "--force", &user]).await;
    }
    world.seed_user("auth0|bob", &["mentor"]);
    world.tenant.login("auth0|bob").unwrap();
    world
        .eventually("the circuit breaker is closed", async || open(0).await)
        .await;
    world.quiet().await;
    assert!(worker.is_active("reconcile").await);
}

/// New limits begin a leadership; while calls are still refused, it says so like the one before.
#[tokio::test]
async fn new_limits_do_not_hide_an_open_circuit_breaker() {
    let world = World::start().await;
    let reads = ["read:users", "read:users_app_metadata"];
    world
        .tenant
        .register_client(Client::new(CLIENT, "secret").with_scopes(reads));
    world.tenant.revoke_tokens(CLIENT);
    let worker = world.worker();
    twenty_earn(&world, "ann").await;
    let not_ready = async || {
        let ready = worker.get("/readyz/reconcile").await;
        ready.is_some_and(|(status, why)| status == 503 && why.contains("circuit breaker"))
    };
    world.eventually("it is not ready", not_ready).await;
    world
        .told(&["limits", "set", "reserve", "0.1", "--why", "a test"])
        .await;
    let begun = async || {
        worker
            .messages()
            .iter()
            .filter(|line| *line == "reconciling")
            .count()
            == 2
    };
    world.eventually("another leadership has begun", begun).await;
    world.eventually("it is not ready again", not_ready).await;
}

#[tokio::test]
async fn f14_a_token_endpoint_in_trouble_stops_the_stage() {
    for fault in [Fault::status(503), Fault::status(429)] {
        let breaks = |world: &World| {
            world.tenant.hold_fault(CallMatch::to(Token), fault.clone());
            world.tenant.revoke_tokens(CLIENT);
        };
        paused_and_mended(World::start().await, "no token", breaks, |world| {
            world.tenant.clear_faults();
        })
        .await;
    }
}

#[tokio::test]
async fn f14_a_wrong_audience_stops_the_stage_until_it_is_right() {
    let options = TenantOptions {
        audience: Some("https://music.eu.auth0.com/api/v2/".to_owned()),
        ..TenantOptions::default()
    };
    let world = World::builder().tenant(options).start().await;
    world.note_attempts().await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.earn("auth0|ann", "pl_1").await;
    let worker = world.worker();
    world
        .eventually("the circuit breaker is open", async || {
            worker.count(PAUSED).await == Some(1)
        })
        .await;
    assert!(
        worker.log().contains("Service not enabled within domain"),
        "{}",
        worker.log_tail(20)
    );
    worker.sigterm(Duration::from_secs(10)).await;
    world
        .start_worker_with(&[("AUTH0_AUDIENCE", "https://music.eu.auth0.com/api/v2/")])
        .await;
    world.settled().await;
    assert_eq!((world.patches(), world.attempts_noted().await), (1, 0));
}

#[tokio::test]
async fn f14_a_token_is_renewed_once_for_all_callers() {
    let options = TenantOptions {
        token_lifetime: Duration::from_secs(3),
        ..TenantOptions::default()
    };
    let world = World::builder().tenant(options).start().await;
    world.note_attempts().await;
    twenty_earn(&world, "ann").await;
    world.settled().await;
    let first = world.calls_to(Token);
    world.tenant.revoke_tokens(CLIENT);
    twenty_earn(&world, "bob").await;
    world.settled().await;
    let refused = |call: &&Call| call.status == Some(401);
    let refused = world
        .tenant
        .with_calls(|calls| calls.iter().filter(refused).count());
    println!(
        "{first} tokens, then {}, {refused} calls were refused",
        world.calls_to(Token) - first
    );
    // The in-flight calls with the revoked token are refused once, and then continue with one new token.
    assert!(refused <= 16 && world.attempts_noted().await == 0);
    let lifetimes = gaps(&world.tenant.calls()).iter().sum::<f64>() / 2.7;
    let bound = 2 + format!("{lifetimes:.0}").parse::<usize>().expect("a number");
    assert!(
        world.calls_to(Token) <= bound,
        "{} tokens, at most {bound}",
        world.calls_to(Token)
    );
}
