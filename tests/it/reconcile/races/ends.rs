//! Races that no attempt can conclude: the account is another one, the user is gone, or the needed rows are no longer
//! kept.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault, LogStream};
use serde_json::json;

use crate::world::events::retraction;
use crate::world::oracle::ROLE;
use crate::world::races::{race, stream_logs};
use crate::world::{ANN, CLIENT, LOG_TOKEN, World};

const OPEN: &str = "SELECT count(*) FROM races WHERE outcome IS NULL";
const UNRESOLVED: &str = "SELECT count(*) FROM races WHERE outcome = 'unresolved'";

async fn sql(world: &World, statement: &'static str) {
    sqlx::raw_sql(statement)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
}

/// A race that stays open: no record explains the profile.
async fn open_race(world: &World) {
    stream_logs(world).await;
    race(world, ANN, &["mentor", "vip"]).await;
    let edit = json!({"app_metadata": {"roles": ["mentor", ROLE, "staff"]}});
    world.tenant.edit_unrecorded(ANN, edit).expect("an edit");
    world
        .eventually("the race is found", async || world.number(OPEN).await == Some(1))
        .await;
    world.quiet().await;
}

/// Our revoke overwrites another client's `vip`, and the account is deleted and created again before the records
/// arrive; Auth0 was read in between if it was `seen`.
async fn made_anew(seen: bool) {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    let url = format!("http://{}/auth0/logs", world.worker().address("LISTEN").await);
    let stream = LogStream {
        delay: Duration::from_secs(5)..=Duration::from_secs(5),
        ..LogStream::to(url, LOG_TOKEN)
    };
    world.seed_user(ANN, &[ROLE]);
    world.earn(ANN, "pl_1").await;
    world.quiet().await;
    world.tenant.stream_logs(stream).expect("a webhook");
    let late = CallMatch::to(Endpoint::PatchUser).client(CLIENT);
    world
        .tenant
        .fault_once(late, Fault::Delay(Duration::from_millis(300)));
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world
        .eventually("our write is in flight", async || {
            world.tenant.faults_waiting() == 0
        })
        .await;
    let theirs = json!({"app_metadata": {"roles": [ROLE, "vip"]}});
    world
        .tenant
        .edit_by_other_client("crm", ANN, theirs)
        .expect("an edit");
    world
        .eventually("our write overwrites theirs", async || {
            world.roles(ANN).is_empty()
        })
        .await;
    let answered = "SELECT count(*) FROM work_queue";
    world
        .eventually("its response is read", async || {
            world.number(answered).await == Some(0)
        })
        .await;
    assert!(world.tenant.delete_user(ANN));
    if seen {
        let attempt = "INSERT INTO work_queue (user_id, priority, force_fetch) VALUES ('auth0|ann', 1, true) ON CONFLICT DO NOTHING";
        sql(&world, attempt).await;
        let gone = "SELECT count(*) FROM gone_users";
        world
            .eventually("she is gone", async || world.number(gone).await == Some(1))
            .await;
    }
    let again = json!({"app_metadata": {"roles": []}});
    world.tenant.create_user(ANN, again).expect("a sign-up");
    world.quiet().await;
    // Ten minutes later no further record has arrived.
    sql(
        &world,
        "UPDATE races SET found_at = found_at - interval '10 minutes'",
    )
    .await;
    let conclude = "INSERT INTO work_queue (user_id, priority, force_fetch) VALUES ('auth0|ann', 1, true) ON CONFLICT DO NOTHING";
    sql(&world, conclude).await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), [""; 0], "they belong to another account");
}

#[tokio::test]
async fn a_race_of_a_deleted_account_ends_with_it() {
    made_anew(true).await;
}

#[tokio::test]
async fn a_race_of_an_account_deleted_unseen_ends_with_it() {
    made_anew(false).await;
}

#[tokio::test]
async fn an_open_race_of_a_user_who_is_gone_is_ended_and_reported() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    open_race(&world).await;
    assert!(world.tenant.delete_user(ANN));
    world
        .eventually("it is ended", async || world.number(UNRESOLVED).await == Some(1))
        .await;
    let counted = "rolekeeper_races_total{outcome=\"unresolved\"}";
    world
        .eventually("it is counted", async || {
            world.worker().count(counted).await == Some(1)
        })
        .await;
    let told = world.worker().messages();
    let reported = |line: &String| line.contains("no attempt can determine what was lost");
    assert!(told.iter().any(reported), "{told:?}");
}

#[tokio::test]
async fn a_held_race_whose_writes_are_kept_no_longer_is_ended() {
    let world = World::builder()
        .env("BRAKE_RESTORES", 0)
        .env("SWEEP_INTERVAL_S", 1)
        .start()
        .await;
    stream_logs(&world).await;
    race(&world, ANN, &["mentor", "vip"]).await;
    let held = "SELECT count(*) FROM races WHERE held AND outcome IS NULL";
    world
        .eventually("it is held", async || world.number(held).await == Some(1))
        .await;
    world.quiet().await;
    sql(&world, "DELETE FROM profile_writes").await;
    world
        .eventually("it is ended", async || world.number(UNRESOLVED).await == Some(1))
        .await;
}

#[tokio::test]
async fn a_race_that_attempts_do_not_conclude_ends_after_a_day() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    open_race(&world).await;
    world.worker().sigterm(Duration::from_secs(10)).await;
    world.start_worker_with(&[("AUTH0_WRITES", "off")]).await;
    sql(
        &world,
        "UPDATE races SET found_at = found_at - interval '25 hours'",
    )
    .await;
    world
        .eventually("it is ended", async || world.number(UNRESOLVED).await == Some(1))
        .await;
}

#[tokio::test]
async fn a_record_that_auth0_never_answers_about_is_given_up() {
    let world = World::start().await;
    stream_logs(&world).await;
    world
        .tenant
        .hold_fault(CallMatch::to(Endpoint::ReadLog), Fault::status(500));
    race(&world, ANN, &["mentor", "vip"]).await;
    let failed = "SELECT count(*) FROM foreign_writes WHERE asks > 0";
    world
        .eventually("it was requested", async || world.number(failed).await == Some(1))
        .await;
    let aged = "UPDATE foreign_writes SET asked_at = asked_at - interval '25 hours', ask_at = now() WHERE ask_at IS NOT NULL";
    sql(&world, aged).await;
    world.quiet().await;
    let given_up = "SELECT count(*) FROM foreign_writes f JOIN races r USING (user_id, record_id)
        WHERE f.verdict = 'unanswered' AND r.outcome = 'unconfirmed'";
    assert_eq!(world.number(given_up).await, Some(1));
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}
