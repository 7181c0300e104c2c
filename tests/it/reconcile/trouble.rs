//! Reconciling while the tenant is in trouble: limits, errors, lost responses.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};
use rolekeeper_sandbox::tenant::{Call, CallMatch, Endpoint, Fault};
use serde_json::json;

use crate::world::oracle::ROLE;
use crate::world::{Builder, CLIENT, World, gaps};

const LIMITED: [&str; 2] = [
    r#"rolekeeper_auth0_calls_total{call="get_user",result="limited"}"#,
    r#"rolekeeper_auth0_calls_total{call="patch_user",result="limited"}"#,
];

/// A short timeout, so that a call without a response ends soon.
pub(super) fn impatient() -> Builder {
    World::builder()
        .env("AUTH0_TIMEOUT_S", 1)
        .env("SWEEP_INTERVAL_S", 1)
}

fn limited(headers: &[(&str, i64)]) -> Fault {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string()));
    Fault::Status {
        code: 429,
        headers: headers.collect(),
        body: Some(
            json!({"statusCode": 429, "error": "Too Many Requests", "errorCode": "too_many_requests"}),
        ),
    }
}

/// F11: 429 with a reset, without headers, with headers that lie (a reset in the past or a year ahead, for ever
/// nothing remaining), for an hour: calls are paced; no attempt is counted; the work queue holds one entry a user.
#[tokio::test]
async fn f11_a_long_429_costs_no_attempts_and_few_calls() {
    let world = World::start().await;
    world.note_attempts().await;
    for (endpoint, series, user) in [
        (ReadUser, LIMITED[0], "auth0|ann"),
        (PatchUser, LIMITED[1], "auth0|bob"),
    ] {
        world.seed_user(user, &["mentor"]);
        world.tenant.hold_fault(CallMatch::to(endpoint), limited(&[]));
        world.earn(user, &user[6..]).await;
        let worker = world.worker();
        world
            .eventually("two calls were limited", async || {
                worker.count(series).await >= Some(2)
            })
            .await;
        world.tenant.clear_faults();
        world.settled().await;
        assert_eq!(world.roles(user), ["mentor", ROLE]);
        let calls = world.calls_of(user);
        // The stage waits 1 s, then 2 s, so calls do not accumulate.
        assert!(calls.len() <= 8, "{calls:?}");
    }
    assert_eq!(world.attempts_noted().await, 0);
}

#[tokio::test]
async fn f11_rate_headers_that_lie_do_no_harm() {
    let now = rolekeeper_sandbox::now().unix_timestamp();
    let lies = [
        limited(&[
            ("x-ratelimit-reset", now + 2),
            ("x-ratelimit-remaining", 0),
            ("x-ratelimit-limit", 50),
        ]),
        limited(&[("x-ratelimit-reset", now - 86_400)]),
        limited(&[("retry-after", 2)]),
        Fault::NoRateHeaders,
        Fault::LyingRateHeaders {
            limit: Some("-3".to_owned()),
            remaining: Some("nonsense".to_owned()),
            reset: Some("99999999999999999999".to_owned()),
        },
    ];
    let world = World::start().await;
    world.note_attempts().await;
    for (n, lie) in lies.into_iter().enumerate() {
        let user = format!("auth0|u{n}");
        world.seed_user(&user, &["mentor"]);
        for endpoint in [ReadUser, PatchUser] {
            world
                .tenant
                .fault_once(CallMatch::to(endpoint).user(&user), lie.clone());
        }
        world.earn(&user, &format!("pl_{n}")).await;
        world.settled().await;
        assert_eq!(world.roles(&user), ["mentor", ROLE]);
        assert!(world.calls_of(&user).len() <= 5, "{:?}", world.calls_of(&user));
    }
    assert_eq!(
        (world.tenant.faults_waiting(), world.attempts_noted().await),
        (0, 0)
    );
}

#[tokio::test]
async fn f11_an_endless_empty_bucket_only_slows_it_down() {
    let world = World::start().await;
    world.note_attempts().await;
    let empty = Fault::LyingRateHeaders {
        limit: None,
        remaining: Some("0".to_owned()),
        reset: None,
    };
    world.tenant.hold_fault(CallMatch::any().client(CLIENT), empty);
    for user in ["auth0|ann", "auth0|bob", "auth0|cid"] {
        world.seed_user(user, &[]);
        world.earn(user, &user[6..]).await;
    }
    world.settled().await;
    world.tenant.clear_faults();

    let next_year = rolekeeper_sandbox::now().unix_timestamp() + 365 * 86_400;
    world.seed_user("auth0|eve", &[]);
    let read = CallMatch::to(ReadUser).user("auth0|eve");
    world
        .tenant
        .fault_once(read, limited(&[("x-ratelimit-reset", next_year)]));
    world.earn("auth0|eve", "pl_eve").await;
    world.settled_within(Duration::from_secs(90)).await;
    assert_eq!(world.attempts_noted().await, 0);
    let waited = gaps(&world.calls_of("auth0|eve"))[0];
    assert!(
        (55.0..75.0).contains(&waited),
        "waited {waited} s, a minute is the cap"
    );
}

/// The faults that pass by themselves.
fn passing() -> Vec<Fault> {
    let mut faults: Vec<Fault> = [500, 502, 503, 504, 524].map(Fault::status).into();
    faults.extend([
        Fault::Delay(Duration::from_secs(3)),
        Fault::DelayedAnswer(Duration::from_secs(3)),
        Fault::TornBody,
        Fault::Slow(Duration::from_secs(1)),
        Fault::ConnectionReset,
        Fault::AppliedButUnanswered,
        Fault::InvalidJson,
        Fault::HtmlPage(502),
        Fault::HtmlPage(200),
        Fault::HtmlPage(404),
    ]);
    faults
}

/// F12: 500, 502, 503, 504, 524, a timeout, a reset in the body, one byte a second, invalid JSON, an HTML page, a 200
/// that was not applied: retried with jitter; the read of the next attempt detects what the last one did.
#[tokio::test]
async fn f12_whatever_passes_is_tried_again_later_and_written_once() {
    let world = impatient().start().await;
    let mut users = vec![];
    for endpoint in [ReadUser, PatchUser] {
        for (n, fault) in passing().into_iter().enumerate() {
            let user = format!("auth0|{endpoint:?}{n}");
            world.seed_user(&user, &["mentor"]);
            for _ in 0..2 {
                world
                    .tenant
                    .fault_once(CallMatch::to(endpoint).user(&user), fault.clone());
            }
            world.earn(&user, &format!("pl_{endpoint:?}{n}")).await;
            users.push((user, endpoint, fault));
        }
    }
    world.settled_within(Duration::from_mins(1)).await;
    for (user, endpoint, fault) in users {
        let calls = world.calls_of(&user);
        let of = |endpoint: Endpoint| calls.iter().filter(move |call| call.endpoint == endpoint);
        assert_eq!(world.roles(&user), ["mentor", ROLE], "{fault:?} {calls:?}");
        assert_eq!(
            of(PatchUser).filter(|call| call.applied).count(),
            1,
            "{fault:?} {calls:?}"
        );
        assert!(
            of(endpoint).count() <= 3 && calls.len() <= 6,
            "{fault:?} {calls:?}"
        );
        // At least half of 1 s after the first failure, half of 2 s after the second.
        let reads: Vec<Call> = of(ReadUser).cloned().collect();
        assert!(
            gaps(&reads).iter().all(|gap| *gap >= 0.45),
            "{fault:?} {:?}",
            gaps(&reads)
        );
    }
    assert!(world.idle_writes().is_empty(), "{:?}", world.idle_writes());
}

/// F13: a write applied, its response lost: the next attempt finds the change done: no second write, one completed
/// row of the audit.
#[tokio::test]
async fn f13_a_write_whose_answer_was_lost_is_seen_and_not_sent_again() {
    let world = impatient().start().await;
    world.connect_log_stream().await;
    let lost = [
        Fault::AppliedButUnanswered,
        Fault::DelayedAnswer(Duration::from_secs(3)),
        Fault::TornBody,
    ];
    for (n, fault) in lost.into_iter().enumerate() {
        let user = format!("auth0|u{n}");
        world.seed_user(&user, &["mentor"]);
        world
            .tenant
            .fault_once(CallMatch::to(PatchUser).user(&user), fault);
        world.earn(&user, &format!("pl_{n}")).await;
    }
    world.settled().await;
    // From event to role, the slowest of all included.
    let measured = world.worker().count("rolekeeper_role_lag_seconds_count").await;
    assert_eq!(measured, Some(3));
    for user in ["auth0|u0", "auth0|u1", "auth0|u2"] {
        let endpoints = world.endpoints_of(user);
        assert_eq!(endpoints[..3], [ReadUser, PatchUser, ReadUser]);
        assert!(!endpoints[3..].contains(&PatchUser), "{endpoints:?}");
        let confirmed = ("granted".to_owned(), Some("confirmed".to_owned()));
        assert_eq!(world.audit_of(user).await, [confirmed]);
        // No attempt before a late write could have arrived.
        assert!(
            gaps(&world.calls_of(user))[1] >= 2.9,
            "{:?}",
            world.calls_of(user)
        );
    }
}

#[tokio::test]
async fn f12_a_confirmed_write_that_was_not_applied_is_found() {
    let world = impatient().start().await;
    world.seed_user("auth0|ann", &["mentor"]);
    world
        .tenant
        .fault_once(CallMatch::to(PatchUser), Fault::AnsweredButNotApplied);
    world.earn("auth0|ann", "pl_1").await;
    world.quiet().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);
    // A day later.
    world
        .run_sql("UPDATE profile_writes SET completed_at = completed_at - interval '25 hours'")
        .await;
    world
        .run_sql("UPDATE assignments SET verified_at = verified_at - interval '25 hours'")
        .await;
    world
        .eventually("the role is there", async || {
            world.roles("auth0|ann") == ["mentor", ROLE]
        })
        .await;
    world.quiet().await;
    assert_eq!(
        world.endpoints_of("auth0|ann"),
        [ReadUser, PatchUser, ReadUser, PatchUser]
    );
}
