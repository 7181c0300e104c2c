//! The worker reads records that the log stream dropped from the tenant's log, and reports the stream's silence.

use std::collections::BTreeSet;
use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Client, Endpoint, Fault, RatePlan, TenantOptions};
use serde_json::json;

use crate::world::events::retraction;
use crate::world::{Builder, CLIENT, World};

const MISSED: &str = "rolekeeper_log_gap_filler_records_total{kind=\"missed\"}";
const REFUSED: &str = "rolekeeper_log_gap_filler_refused";

pub(super) fn filling() -> Builder {
    World::builder()
        .env("LOG_GAP_FILLER", "on")
        .env("LOG_GAP_FILLER_DELAY_S", 1)
}

/// Ids of all messages in AUTH0_LOGS, with repetitions.
async fn stored(world: &World) -> Vec<String> {
    let stream = world.jetstream.get_stream("AUTH0_LOGS").await;
    let stream = stream.expect("the stream is there");
    let mut ids = vec![];
    for seq in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(seq).await.expect("nothing is deleted");
        let id = message
            .headers
            .get("Nats-Msg-Id")
            .expect("every record has an id");
        ids.push(id.to_string());
    }
    ids
}

fn logged(world: &World) -> BTreeSet<String> {
    world
        .tenant
        .logged()
        .into_iter()
        .map(|record| record.log_id)
        .collect()
}

/// Returns true if the stream has every record of the tenant's log except these, each once.
async fn holds_all_but(world: &World, known_missing: &BTreeSet<String>) -> bool {
    let stored = stored(world).await;
    let once: BTreeSet<String> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), once.len(), "a record is stored twice");
    once == logged(world).difference(known_missing).cloned().collect()
}

/// An existing user, so that the log is not empty, and a checkpoint after that user's records.
pub(super) async fn begun(world: &World) -> BTreeSet<String> {
    world
        .tenant
        .create_user("auth0|first", json!({}))
        .expect("a new user");
    world
        .eventually("the gap filler has begun", async || {
            world.number("SELECT count(*) FROM log_checkpoint").await == Some(1)
        })
        .await;
    logged(world)
}

pub(super) fn sign_up(world: &World, users: std::ops::Range<u32>) {
    for n in users {
        let user = format!("auth0|u{n}");
        world
            .tenant
            .create_user(&user, json!({"email": format!("u{n}@example.com")}))
            .expect("a new user");
        world.tenant.login(&user).expect("a known user");
    }
}

/// Users who were read, or were enqueued by a record to be read.
pub(super) async fn users_known(world: &World) -> i64 {
    let count = world
        .number(
            "SELECT count(*) FROM (SELECT user_id FROM users UNION SELECT user_id FROM work_queue) AS known
             WHERE user_id LIKE 'auth0|u%'",
        )
        .await;
    count.unwrap_or(-1)
}

/// F27: the log stream is silent for an hour, its deliveries dropped: the sweep repairs still; the gap filler reads what was missed from
/// its checkpoint.
#[tokio::test]
async fn f27_what_the_stream_dropped_is_read_once_across_a_kill() {
    // A short timeout makes short leases: those of the killed worker must end.
    let world = filling()
        .env("SWEEP_INTERVAL_S", 1)
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    let before = begun(&world).await;
    world.connect_log_stream().await;
    sign_up(&world, 0..3);
    world.tenant.silence(true);
    // More than a page, with a role earned and lost among them.
    sign_up(&world, 3..120);
    world.earn("auth0|u5", "pl_5").await;
    world.earn("auth0|u6", "pl_6").await;
    world
        .eventually("roles are written without the log", async || {
            world.roles("auth0|u5") == ["playlist_editor"]
        })
        .await;
    world.publish(&[retraction("r1", "pl_6-7", "pl_6")]).await;
    world
        .eventually("the gap filler is running", async || {
            users_known(&world).await > 20
        })
        .await;
    world.worker().kill9().await;
    sign_up(&world, 120..125);
    world.start_worker().await;
    world.tenant.silence(false);
    world.connect_log_stream().await;
    sign_up(&world, 125..128);
    world
        .eventually("every record is there, once", async || {
            holds_all_but(&world, &before).await
        })
        .await;
    world.settled().await;
    assert_eq!(users_known(&world).await, 128);
    let missed = world.worker().metric(MISSED).await;
    assert!(missed > 0.0, "{missed} records were missed");
}

#[tokio::test]
async fn a_lost_place_is_told_and_all_that_is_kept_is_read() {
    for refused in [true, false] {
        let world = filling().start().await;
        begun(&world).await;
        // Old enough to be lost if Auth0 returns nothing.
        let age = "UPDATE log_checkpoint SET record_at = now() - interval '3 days'";
        sqlx::raw_sql(age)
            .execute(&world.db)
            .await
            .expect("Postgres responds");
        world.tenant.expire_logs(refused);
        sign_up(&world, 0..5);
        world
            .eventually("the kept data is read", async || users_known(&world).await == 5)
            .await;
        let said = |message: &String| message.contains("has lost its place in the tenant's log");
        let told = world.worker().messages().into_iter().filter(said).count();
        assert_eq!(told, 1, "refused: {refused}");
        world.settled().await;
    }
}

#[tokio::test]
async fn without_the_scope_it_says_so_once_and_roles_go_on() {
    let world = filling().workers(0).start().await;
    let scopes = ["read:users", "read:users_app_metadata", "update:users"];
    world
        .tenant
        .register_client(Client::new(CLIENT, "secret").with_scopes(scopes));
    let worker = world.start_worker().await;
    world
        .eventually("it is refused", async || worker.metric(REFUSED).await > 0.5)
        .await;
    world.seed_user("auth0|ann", &[]);
    world.earn("auth0|ann", "pl_1").await;
    world
        .eventually("the role is written", async || {
            world.roles("auth0|ann") == ["playlist_editor"]
        })
        .await;
    world
        .eventually("it retries", async || world.calls_to(Endpoint::ReadLogs) > 2)
        .await;
    assert!(worker.metric("rolekeeper_circuit_breaker_open").await < 0.5);
    let said = |message: &String| message.contains("may not read the tenant's log");
    assert_eq!(worker.messages().into_iter().filter(said).count(), 1);
    world.tenant.register_client(Client::new(CLIENT, "secret"));
    sign_up(&world, 0..1);
    world
        .eventually("it can read again", async || worker.metric(REFUSED).await < 0.5)
        .await;
}

#[tokio::test]
async fn trouble_at_the_tenant_is_waited_out() {
    let world = filling().start().await;
    begun(&world).await;
    for what in [
        Fault::status(500),
        Fault::status(429),
        Fault::InvalidJson,
        Fault::TornBody,
        Fault::HtmlPage(502),
    ] {
        world.tenant.fault_once(CallMatch::to(Endpoint::ReadLogs), what);
    }
    sign_up(&world, 0..12);
    // Five failures in a row alone take 15 to 31 s of waiting.
    world
        .eventually_within(Duration::from_mins(1), "all is read", async || {
            users_known(&world).await == 12
        })
        .await;
    assert_eq!(world.tenant.faults_waiting(), 0);
}

#[tokio::test]
async fn it_is_off_unless_asked_for_and_gentle_on_the_smallest_plan() {
    let world = World::start().await;
    sign_up(&world, 0..1);
    world.earn("auth0|u0", "pl_0").await;
    world.settled().await;
    assert_eq!(world.calls_to(Endpoint::ReadLogs), 0);
    drop(world);
    let plan = TenantOptions {
        plan: RatePlan::SELF_SERVICE,
        ..TenantOptions::default()
    };
    let world = filling()
        .tenant(plan)
        .env("AUTH0_PLAN", "self-service")
        .start()
        .await;
    begun(&world).await;
    sign_up(&world, 0..150);
    world
        .eventually("all is read", async || users_known(&world).await == 150)
        .await;
    let limited = world
        .tenant
        .with_calls(|calls| calls.iter().filter(|call| call.status == Some(429)).count());
    assert_eq!(limited, 0);
}

/// One response of a gateway does not change the place in the tenant's log.
#[tokio::test]
async fn a_gateways_404_loses_no_place() {
    let world = filling().start().await;
    begun(&world).await;
    let gateway = Fault::Status {
        code: 404,
        headers: vec![],
        body: Some(json!({"statusCode": 404, "error": "Not Found", "message": "no Route matched"})),
    };
    world
        .tenant
        .fault_once(CallMatch::to(Endpoint::ReadLogs), gateway);
    sign_up(&world, 0..5);
    world
        .eventually("all is read", async || users_known(&world).await == 5)
        .await;
    assert_eq!(world.tenant.faults_waiting(), 0);
    let said = |message: &String| message.contains("has lost its place in the tenant's log");
    assert_eq!(world.worker().messages().into_iter().filter(said).count(), 0);
}
