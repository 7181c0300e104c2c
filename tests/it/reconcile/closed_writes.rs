//! A write of ours that was not applied is closed once an attempt sees that; one change has one row, for any worker's
//! clock.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault, LogStream};
use serde_json::json;

use crate::world::events::{play, plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::{ANN, CLIENT, LOG_TOKEN, World};

const CRM: &str = "crm";

fn patches() -> CallMatch {
    CallMatch::to(Endpoint::PatchUser).client(CLIENT)
}

fn edit(world: &World, roles: &[&str]) {
    let patch = json!({"app_metadata": {"roles": roles}});
    world
        .tenant
        .edit_by_other_client(CRM, ANN, patch)
        .expect("an edit");
}

/// A revoke of ours meets `fault` and is repeated; later another client grants `admin` and revokes it. Its first record
/// has arrived, its second has not, and an attempt runs.
async fn f47_revived(fault: Fault) {
    let world = World::builder()
        .env("AUTH0_TIMEOUT_S", 1)
        .env("FORBIDDEN_ROLES", "none")
        .start()
        .await;
    world.seed_user(ANN, &["base"]);
    world.earn(ANN, "pl_1").await;
    world.quiet().await;
    world.tenant.fault_once(patches(), fault);
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world
        .eventually("the second revoke has a response", async || {
            world.roles(ANN) == ["base"]
        })
        .await;
    world.quiet().await;
    let open = "SELECT count(*) FROM profile_writes WHERE completed_at IS NULL AND to_jsonb(profile_writes) ->> 'closed' IS NULL";
    let left_open = world.number(open).await;
    world.connect_log_stream().await;
    edit(&world, &["base", "admin"]);
    world.quiet().await;
    world.tenant.silence(true);
    edit(&world, &["base"]);
    world.publish(&[play("again", "pl_1")]).await;
    world
        .eventually("the role is there", async || {
            world.roles(ANN).contains(&ROLE.to_owned())
        })
        .await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["base", ROLE], "admin was removed on purpose");
    assert_eq!(left_open, Some(0));
}

/// A write of the role for Ann that the tenant never applied, at that time; its worker was killed.
pub(crate) async fn unanswered(world: &World, ago: &str) {
    // The tenant does nothing for a client that has disconnected.
    let never = Fault::Delay(Duration::from_secs(30));
    world.tenant.hold_fault(patches(), never);
    world.earn(ANN, "pl_1").await;
    let attempted = "SELECT count(*) FROM profile_writes";
    world
        .eventually("it is tried", async || world.number(attempted).await >= Some(1))
        .await;
    world.worker().kill9().await;
    world.tenant.clear_faults();
    let aged = format!(
        "UPDATE profile_writes SET attempted_at = attempted_at - interval '{ago}';
         UPDATE work_queue SET lease_until = lease_until - interval '{ago}'"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(aged))
        .execute(&world.db)
        .await
        .expect("Postgres responds");
}

/// F47: a write of ours that got 429, 502 or no response and was not applied; days later another client adds and removes roles: nothing
/// is revived.
#[tokio::test]
async fn f47_a_write_that_got_429_revives_nothing() {
    f47_revived(Fault::status(429)).await;
}

#[tokio::test]
async fn f47_a_write_that_got_502_and_was_not_applied_revives_nothing() {
    f47_revived(Fault::status(502)).await;
}

/// The worker died after a write that was not applied, and starts again days later.
#[tokio::test]
async fn f47_an_old_write_is_not_completed_by_the_present_state() {
    let world = World::builder().start().await;
    world.seed_user(ANN, &["base"]);
    unanswered(&world, "3 days").await;
    edit(&world, &["base", ROLE]);
    world.start_worker().await;
    world.quiet().await;
    let completed = "SELECT count(*) FROM profile_writes WHERE completed_at IS NOT NULL";
    assert_eq!(
        world.number(completed).await,
        Some(0),
        "another client gave the role"
    );
}

/// A revoke is applied and its response lost; another client edits the user before the next attempt.
#[tokio::test]
async fn a_revoke_without_an_answer_is_completed_and_announced_once() {
    let world = World::builder().env("AUTH0_TIMEOUT_S", 1).start().await;
    world.seed_user(ANN, &["base"]);
    world.earn(ANN, "pl_1").await;
    world.quiet().await;
    // Records arrive after the attempt that follows the settle delay of three seconds.
    let url = format!("http://{}/auth0/logs", world.worker().address("LISTEN").await);
    let delay = Duration::from_millis(4_500)..=Duration::from_millis(4_500);
    let stream = LogStream {
        delay,
        ..LogStream::to(url, LOG_TOKEN)
    };
    world.tenant.stream_logs(stream).expect("a webhook");
    world.tenant.fault_once(patches(), Fault::AppliedButUnanswered);
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world
        .eventually("the revoke is done", async || world.roles(ANN) == ["base"])
        .await;
    edit(&world, &["base", "vip"]);
    world.quiet().await;
    let changes: Vec<String> = world
        .audit_of(ANN)
        .await
        .into_iter()
        .map(|(change, _)| change)
        .collect();
    assert_eq!(
        (changes, world.roles(ANN)),
        (
            vec!["granted".into(), "revoked".into()],
            vec!["base".into(), "vip".into()]
        )
    );
    let announced = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
    world
        .eventually("both are announced", async || {
            world.number(announced).await == Some(2)
        })
        .await;
}

/// F22: a clock an hour off; events dated 1970 and 2099: counts do not depend on dates; an odd date is kept as given, or refused with a
/// reason. Here a worker whose clock is an hour ahead writes, is refused, and dies; another one continues.
#[tokio::test]
async fn f22_a_change_has_one_row_although_workers_clocks_differ() {
    let world = World::builder()
        .env("AUTH0_TIMEOUT_S", 1)
        .env("SWEEP_INTERVAL_S", 1)
        .start()
        .await;
    world.seed_user(ANN, &["base"]);
    world.tenant.hold_fault(patches(), Fault::status(502));
    world.publish(&[saved("s1", "pl_1", ANN)]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    let attempted = "SELECT count(*) FROM profile_writes";
    world
        .eventually("it is tried", async || world.number(attempted).await >= Some(1))
        .await;
    world.worker().kill9().await;
    world.tenant.clear_faults();
    let ahead = "UPDATE profile_writes SET write_id = ('ffffffff' || substr(write_id::text, 9))::uuid";
    sqlx::query(ahead)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.start_worker().await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["base", ROLE]);
    let due = "UPDATE assignments SET verified_at = NULL";
    let reads = world.calls_to(Endpoint::ReadUser);
    sqlx::query(due)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world
        .eventually_within(
            Duration::from_secs(20),
            "the user gets another attempt",
            async || world.calls_to(Endpoint::ReadUser) > reads,
        )
        .await;
    world.quiet().await;
    assert_eq!(world.audit_of(ANN).await.len(), 1);
}
