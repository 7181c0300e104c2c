//! The scope of a response of Auth0: one user, who is parked while all others continue, or the tenant, for which the
//! stage waits.

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};
use rolekeeper_sandbox::tenant::{CallMatch, Fault};
use serde_json::json;

use crate::world::World;
use crate::world::events::retraction;
use crate::world::oracle::ROLE;

const PAUSED: &str = "rolekeeper_circuit_breaker_open";
const OPENED: &str = "rolekeeper_circuit_breaker_opened_total";
pub(super) const PARKED: &str = "SELECT count(*) FROM work_queue WHERE parked_at IS NOT NULL";

/// Seeds a user who earns the role.
pub(super) async fn earn(world: &World, user: &str) {
    world.seed_user(user, &["mentor"]);
    world.earn(user, &user[6..]).await;
}

/// F49: 401 or 403 for one user alone, as JSON and as HTML: that user is parked, all others continue.
#[tokio::test]
async fn f49_what_is_denied_for_one_user_parks_that_user_alone() {
    let world = World::start().await;
    let denials = [
        (PatchUser, Fault::HtmlPage(403)),
        (PatchUser, Fault::status(403)),
        (ReadUser, Fault::status(403)),
        (ReadUser, Fault::status(401)),
        (ReadUser, Fault::HtmlPage(401)),
    ];
    for (n, (endpoint, fault)) in denials.into_iter().enumerate() {
        let bad = format!("auth0|bad{n}");
        world.tenant.hold_fault(CallMatch::to(endpoint).user(&bad), fault);
        earn(&world, &bad).await;
        earn(&world, &format!("auth0|good{n}")).await;
    }
    world
        .eventually("all denied users are parked", async || {
            world.number(PARKED).await == Some(5)
        })
        .await;
    for n in 0..5 {
        let good = format!("auth0|good{n}");
        world
            .eventually("others continue", async || world.roles(&good) == ["mentor", ROLE])
            .await;
    }
    assert_eq!(world.worker().count(OPENED).await, Some(0));
    world.tenant.clear_faults();
    let output = world.command(&["requeue", "--all"]).await;
    assert!(output.status.success());
    world.settled().await;
}

#[tokio::test]
async fn f49_a_401_for_everybody_pauses_the_stage_and_parks_no_user() {
    let world = World::start().await;
    world
        .tenant
        .hold_fault(CallMatch::to(ReadUser), Fault::status(401));
    earn(&world, "auth0|ann").await;
    let worker = world.worker();
    world
        .eventually("it is paused", async || worker.count(PAUSED).await == Some(1))
        .await;
    assert_eq!(world.number(PARKED).await, Some(0));
    world.tenant.clear_faults();
    world.settled().await;
    assert_eq!(
        (worker.count(PAUSED).await, worker.count(OPENED).await),
        (Some(0), Some(1))
    );
}

#[tokio::test]
async fn f49_after_a_stop_another_user_is_probed_with() {
    let world = World::start().await;
    world.tenant.hold_fault(CallMatch::to(PatchUser), Fault::Status {
        code: 403,
        headers: vec![],
        body: Some(json!({"statusCode": 403, "errorCode": "insufficient_scope", "message": "Insufficient scope"})),
    });
    earn(&world, "auth0|ann").await;
    let worker = world.worker();
    world
        .eventually("it is paused", async || worker.count(PAUSED).await == Some(1))
        .await;
    earn(&world, "auth0|bob").await;
    world.tenant.clear_faults();
    let still = CallMatch::to(PatchUser).user("auth0|ann");
    world.tenant.hold_fault(still, Fault::HtmlPage(403));
    world
        .eventually("bob is served", async || {
            world.roles("auth0|bob") == ["mentor", ROLE]
        })
        .await;
    world
        .eventually("ann is parked", async || world.number(PARKED).await == Some(1))
        .await;
    assert_eq!(worker.count(PAUSED).await, Some(0));
}

/// F50: a mass refusal with one code: the circuit breaker opens in place of a thousand parked users; right at once when mended.
#[tokio::test]
async fn f50_a_mass_refusal_stops_the_stage_until_it_is_mended() {
    let world = World::start().await;
    world
        .tenant
        .hold_fault(CallMatch::to(PatchUser), Fault::status(402));
    for n in 0..12 {
        earn(&world, &format!("auth0|u{n}")).await;
    }
    let worker = world.worker();
    world
        .eventually("it is paused", async || worker.count(PAUSED).await == Some(1))
        .await;
    assert!(world.number(PARKED).await < Some(5));
    assert!(
        worker.log().contains("users in a row failed in the same way"),
        "{}",
        worker.log_tail(20)
    );
    world.tenant.clear_faults();
    world.settled().await;
    assert_eq!(
        (world.number(PARKED).await, worker.count(PAUSED).await),
        (Some(0), Some(0))
    );
}

/// F45: dates that overflow in UTC, years 0 and 9999 with offsets, numbers beyond f64, 140 levels, lone surrogates, in records, profiles
/// and events: no panic; the rest of the document is used, or the user is parked with a reason.
#[tokio::test]
async fn f45_half_an_emoji_in_a_profile_hides_no_user() {
    let world = World::start().await;
    let profile = json!({"nickname": "DJ HALF", "app_metadata": {"roles": ["mentor"]}});
    world.tenant.seed_user("auth0|ann", profile).expect("a user");
    world.tenant.hold_fault(
        CallMatch::any().user("auth0|ann"),
        Fault::Rewritten {
            from: "DJ HALF".to_owned(),
            to: r"DJ \ud83d".to_owned(),
        },
    );
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    assert_eq!(
        (world.roles("auth0|ann"), world.patches()),
        (vec!["mentor".to_owned(), ROLE.to_owned()], 1)
    );
}

#[tokio::test]
async fn f45_a_role_that_is_no_text_is_left_and_the_user_parked() {
    let world = World::start().await;
    for (user, entry) in [("auth0|half", r"\ud83d"), ("auth0|nul", r"\u0000")] {
        world.seed_user(user, &["ODD"]);
        world.tenant.hold_fault(
            CallMatch::any().user(user),
            Fault::Rewritten {
                from: "ODD".to_owned(),
                to: entry.to_owned(),
            },
        );
        world.earn(user, &user[6..]).await;
    }
    world
        .eventually("both are parked", async || world.number(PARKED).await == Some(2))
        .await;
    let why = "SELECT count(*) FROM work_queue WHERE last_error LIKE '%not valid text%'";
    assert_eq!((world.number(why).await, world.patches()), (Some(2), 0));
}

#[tokio::test]
async fn a_revoke_that_auth0_refuses_is_seen() {
    let world = World::start().await;
    earn(&world, "auth0|ann").await;
    world.settled().await;
    let too_large = Fault::Status {
        code: 400,
        headers: vec![],
        body: Some(
            json!({"statusCode": 400, "errorCode": "invalid_body", "message": "The user profile is too large"}),
        ),
    };
    world.tenant.hold_fault(CallMatch::to(PatchUser), too_large);
    world.publish(&[retraction("r1", "ann-0", "ann")]).await;
    let worker = world.worker();
    let refused = r#"rolekeeper_role_writes_refused_total{change="revoked"}"#;
    world
        .eventually("it is counted", async || worker.count(refused).await == Some(1))
        .await;
    assert!(
        worker.log().contains("Auth0 refused to write a role"),
        "{}",
        worker.log_tail(10)
    );
    assert_eq!(world.roles("auth0|ann"), ["mentor", ROLE]);
}
