//! Names whose write fails: refused, without a response, or cut off by the death of the worker.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};
use rolekeeper_sandbox::tenant::{CallMatch, Fault};
use serde_json::{Value, json};

use crate::world::events::{plays, retraction};
use crate::world::names::{by_default, request_name, seed, shown, store};
use crate::world::oracle::ROLE;
use crate::world::{ANN, World};

#[tokio::test]
async fn a_name_in_flight_at_a_death_is_left_to_the_next_worker() {
    let world = World::builder().env("AUTH0_TIMEOUT_S", 3).start().await;
    let store = store(&world);
    seed(&world, ANN, &Value::Null);
    seed(&world, "auth0|bob", &Value::Null);
    // One write is done and one is not when the worker dies.
    let patch = |user| CallMatch::to(PatchUser).user(user);
    world
        .tenant
        .fault_once(patch(ANN), Fault::DelayedAnswer(Duration::from_secs(5)));
    world
        .tenant
        .fault_once(patch("auth0|bob"), Fault::Delay(Duration::from_secs(5)));
    request_name(&store, ANN, "Ann").await;
    request_name(&store, "auth0|bob", "Bob").await;
    world.is_named(ANN, "Ann").await;
    world
        .eventually("both writes are sent", async || {
            world.tenant.faults_waiting() == 0
        })
        .await;
    world.worker().kill9().await;
    assert_eq!(world.open_names().await.len(), 2);
    // Later, after the end of the leases.
    sqlx::query("UPDATE work_queue SET lease_until = now()")
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.start_worker().await;
    world.is_named("auth0|bob", "Bob").await;
    world.quiet().await;
    assert!(world.open_names().await.is_empty());
    assert_eq!(world.endpoints_of(ANN), [ReadUser, PatchUser, ReadUser]);
}

#[tokio::test]
async fn a_name_whose_answer_is_lost_is_seen_and_not_sent_again() {
    let world = World::builder().env("AUTH0_TIMEOUT_S", 1).start().await;
    let store = store(&world);
    for (user, fault) in [(ANN, Fault::AppliedButUnanswered), ("auth0|bob", Fault::TornBody)] {
        seed(&world, user, &Value::Null);
        world
            .tenant
            .fault_once(CallMatch::to(PatchUser).user(user), fault);
        request_name(&store, user, "Sam").await;
    }
    world
        .eventually("the requests are applied", async || {
            world.open_names().await.is_empty()
        })
        .await;
    world.quiet().await;
    for user in [ANN, "auth0|bob"] {
        assert_eq!(world.endpoints_of(user), [ReadUser, PatchUser, ReadUser]);
        assert_eq!(world.metadata(user)["displayName"], "Sam");
    }
}

#[tokio::test]
async fn a_refused_name_is_kept_and_holds_back_no_role() {
    let world = World::start().await;
    let store = store(&world);
    seed(&world, ANN, &json!({"displayName": "Old"}));
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    world.told(&["pause"]).await;
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world
        .eventually("the revoke is due", async || {
            world
                .number("SELECT count(*) FROM work_queue WHERE priority = 0")
                .await
                == Some(1)
        })
        .await;
    request_name(&store, ANN, "New").await;
    world
        .tenant
        .fault_once(CallMatch::to(PatchUser), Fault::status(400));
    world.told(&["resume"]).await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor"]);
    let writes = world.writes_to(ANN);
    let without = json!({"app_metadata": {"roles": ["mentor"]}});
    assert_eq!(writes.len(), 3, "{writes:?}");
    assert_eq!(writes[1]["user_metadata"]["displayName"], "New");
    assert_eq!(writes[2], without);
    assert_eq!(shown(&store, ANN).await.as_deref(), Some("Old"));

    // It waits for the operator, and delays nothing meanwhile.
    let parked = world.told(&["parked", "--json"]).await;
    assert!(
        parked.contains("display name: ") && parked.contains("400"),
        "{parked}"
    );
    let refused = r#"rolekeeper_display_names{state="refused"}"#;
    assert_eq!(world.worker().count(refused).await, Some(1));
    world.publish(&plays("again", "pl_1", 0..1)).await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
    assert_eq!(world.writes_to(ANN).len(), 4);

    let requeued = world.told(&["requeue", "--user", ANN]).await;
    assert_eq!(requeued, "1 requeued\n");
    world.is_named(ANN, "New").await;
    world.quiet().await;
    assert!(world.open_names().await.is_empty());
    assert_eq!(world.told(&["parked"]).await, "no user is parked\n");
}

#[tokio::test]
async fn a_refused_name_is_retried_after_a_day() {
    let world = by_default().env("SWEEP_INTERVAL_S", 1).start().await;
    let store = store(&world);
    for user in [ANN, "auth0|bob", "auth0|eve"] {
        seed(&world, user, &Value::Null);
        world
            .tenant
            .fault_once(CallMatch::to(PatchUser).user(user), Fault::status(400));
    }
    request_name(&store, ANN, "Bad").await;
    request_name(&store, "auth0|bob", "Later").await;
    // The tenant refuses the default for Eve.
    world.earn("auth0|eve", "pl_1").await;
    world
        .eventually("all three are refused", async || {
            let refused = "SELECT count(*) FROM display_names WHERE refused IS NOT NULL";
            world.number(refused).await == Some(3)
        })
        .await;
    world.settled().await;
    assert_eq!(world.metadata("auth0|eve"), Value::Null);
    // The tenant would most likely refuse the default too.
    assert_eq!(world.metadata("auth0|bob"), Value::Null);
    request_name(&store, ANN, "Good").await;
    world.is_named_a_minute_later(ANN, "Good").await;
    sqlx::query("UPDATE display_names SET refused_at = refused_at - interval '25 hours'")
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.is_named_a_minute_later("auth0|bob", "Later").await;
    world
        .eventually("nothing is left", async || world.open_names().await.is_empty())
        .await;
    world.quiet().await;
    // Eve's own name is examined only when there is a reason for an attempt.
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world.settled().await;
    assert_eq!(world.metadata("auth0|eve")["displayName"], "user");
}

#[tokio::test]
async fn a_user_whose_roles_are_refused_too_is_parked() {
    let world = by_default().start().await;
    seed(&world, ANN, &Value::Null);
    world
        .tenant
        .hold_fault(CallMatch::to(PatchUser), Fault::status(400));
    world.earn(ANN, "pl_1").await;
    world
        .eventually("the user is parked", async || {
            let parked = "SELECT count(*) FROM work_queue WHERE parked_at IS NOT NULL";
            world.number(parked).await == Some(1)
        })
        .await;
    assert_eq!(
        world.endpoints_of(ANN),
        [ReadUser, PatchUser, ReadUser, PatchUser]
    );
    world.tenant.clear_faults();
    world.told(&["requeue", "--all"]).await;
    world.settled().await;
    assert_eq!(world.metadata(ANN)["displayName"], "user");
}
