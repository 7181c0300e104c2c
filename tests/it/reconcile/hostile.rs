//! Hostile users and responses: a name that is refused repeatedly, refusals that would stop all other users, endless
//! records.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};
use rolekeeper_sandbox::tenant::{CallMatch, Fault, ProfileLimit, TenantOptions};
use serde_json::json;

use crate::world::events::retraction;
use crate::world::names::{request_name, store};
use crate::world::oracle::ROLE;
use crate::world::{ANN, World};

const LONG_NAME: &str = "A name that does not fit into the profile of Ann";
pub(super) const PAUSED: &str = "rolekeeper_circuit_breaker_open";
const OPENED: &str = "rolekeeper_circuit_breaker_opened_total";
const PARKED: &str = "SELECT count(*) FROM work_queue WHERE parked_at IS NOT NULL";
const WAITS: &str =
    "SELECT count(*) FROM work_queue WHERE due_at > now() + interval '30 seconds' AND lease IS NULL";

/// Ann holds the role, and her profile has no room for a name.
async fn no_room_for_a_name() -> World {
    let options = TenantOptions {
        profile_limit: ProfileLimit {
            warned_above: 2_000,
            refused_above: 2_000,
        },
        ..TenantOptions::default()
    };
    let world = World::builder()
        .tenant(options)
        .env(
            "DEFAULT_DISPLAY_NAME",
            "A name that is as long as hers and does not fit",
        )
        .start()
        .await;
    world.seed_user(ANN, &["mentor", ROLE]);
    let edit = |pad: usize| {
        let pad = json!({"user_metadata": {"pad": "x".repeat(pad)}});
        world.tenant.edit_unrecorded(ANN, pad).expect("an edit")
    };
    let bare = edit(0).to_string().len();
    assert!(edit(1_990 - bare).to_string().len() > 1_980);
    world
}

#[tokio::test]
async fn names_refused_in_turn_hold_back_no_revoke() {
    let world = no_room_for_a_name().await;
    world.told(&["pause"]).await;
    request_name(&store(&world), ANN, LONG_NAME).await;
    world.told(&["adopt", "--user", ANN]).await;
    world.told(&["resume"]).await;
    world
        .eventually("the role is gone", async || world.roles(ANN) == ["mentor"])
        .await;
    world
        .count_is("the attempt ends", "SELECT count(*) FROM work_queue", 0)
        .await;
    let writes = world.calls_to(PatchUser);
    assert_eq!(writes, 2, "the name once, then the role alone");
    request_name(&store(&world), ANN, "Ann").await;
    world
        .count_is("the next request waits for its minute", WAITS, 1)
        .await;
    let later = "UPDATE display_name_writes SET written_at = written_at - interval '1 minute'; UPDATE work_queue SET due_at = now()";
    sqlx::raw_sql(later)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.is_named(ANN, "Ann").await;
}

#[tokio::test]
async fn a_request_with_all_writes_refused_parks_the_user() {
    let world = World::builder().env("DEFAULT_DISPLAY_NAME", "user").start().await;
    world.seed_user(ANN, &["mentor"]);
    world.told(&["pause"]).await;
    world
        .tenant
        .hold_fault(CallMatch::to(PatchUser), Fault::status(400));
    request_name(&store(&world), ANN, "Ann").await;
    world.earn(ANN, "pl_1").await;
    world
        .count_is(
            "the grant is due",
            "SELECT count(*) FROM work_queue WHERE priority = 1",
            1,
        )
        .await;
    world.told(&["resume"]).await;
    world.count_is("she is parked", PARKED, 1).await;
    assert_eq!(world.calls_to(PatchUser), 2);
}

#[tokio::test]
async fn requests_without_end_with_refusals_hold_back_no_role() {
    let world = no_room_for_a_name().await;
    let store = store(&world);
    request_name(&store, ANN, LONG_NAME).await;
    world.told(&["adopt", "--user", ANN]).await;
    let mut number = 0;
    world
        .eventually("the role is gone", async || {
            number += 1;
            request_name(&store, ANN, &format!("{LONG_NAME} {number}")).await;
            world.roles(ANN) == ["mentor"]
        })
        .await;
    assert!(world.calls_to(PatchUser) <= 3, "{}", world.calls_to(PatchUser));
    // The omitted name is written later.
    world
        .count_is("the newest request waits for its minute", WAITS, 1)
        .await;
}

#[tokio::test]
async fn refused_revokes_of_a_few_stop_no_one_else() {
    let world = World::start().await;
    let bad: Vec<String> = (0..8).map(|n| format!("auth0|bad{n}")).collect();
    for user in &bad {
        world.seed_user(user, &["mentor"]);
        world.earn(user, &user[6..]).await;
    }
    world.settled().await;
    for user in &bad {
        let refused = CallMatch::to(PatchUser).user(user);
        world.tenant.hold_fault(refused, Fault::status(400));
        let list = &user[6..];
        world
            .publish(&[retraction(&format!("r-{list}"), &format!("{list}-7"), list)])
            .await;
    }
    let worker = world.worker();
    world
        .eventually("it is paused", async || worker.count(PAUSED).await == Some(1))
        .await;
    world.seed_user("auth0|good", &["mentor"]);
    world.earn("auth0|good", "pl_good").await;
    world
        .eventually("the other is served", async || {
            world.roles("auth0|good") == ["mentor", ROLE]
        })
        .await;
    world.count_is("refused users are parked", PARKED, 8).await;
    assert_eq!(worker.count(PAUSED).await, Some(0));
}

#[tokio::test]
async fn a_write_scope_that_is_missing_is_mended_by_no_read() {
    let world = World::start().await;
    let denied =
        json!({"statusCode": 403, "errorCode": "insufficient_scope", "message": "Insufficient scope"});
    let denied = Fault::Status {
        code: 403,
        headers: vec![],
        body: Some(denied),
    };
    world.tenant.hold_fault(CallMatch::to(PatchUser), denied);
    for user in ["auth0|ann", "auth0|bob"] {
        world.seed_user(user, &["mentor"]);
        world.earn(user, &user[6..]).await;
    }
    world
        .eventually("it has probed twice", async || world.calls_to(PatchUser) >= 4)
        .await;
    let worker = world.worker();
    assert_eq!(worker.count(OPENED).await, Some(1));
    assert!(
        !worker.log().contains("reconcile continues"),
        "{}",
        worker.log_tail(10)
    );
}

#[tokio::test]
async fn records_without_end_keep_no_role() {
    let world = World::start().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    let slow = Fault::DelayedAnswer(Duration::from_millis(400));
    world.tenant.hold_fault(CallMatch::to(ReadUser), slow);
    world.connect_log_stream().await;
    let mut number = 0;
    let mut flood = || {
        number += 1;
        let edit = json!({"user_metadata": {"x": number}});
        let edited = world.tenant.edit_by_other_client("spa", ANN, edit);
        edited.expect("an edit");
    };
    flood();
    world
        .count_is("records arrive", "SELECT count(*) FROM work_queue", 1)
        .await;
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world
        .eventually("the role is gone", async || {
            flood();
            world.roles(ANN) == ["mentor"]
        })
        .await;
}
