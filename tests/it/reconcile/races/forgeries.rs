//! F46: forged, repeated, late and reordered log records of writes of other clients, by the thousand: promise 8. They cost little, and
//! they never turn a role that was given by hand into ours.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::reconcile::closed_writes::unanswered;
use crate::world::events::retraction;
use crate::world::oracle::ROLE;
use crate::world::{ANN, CLIENT, LOG_TOKEN, World};

/// A record of a write to Ann's roles.
async fn post(world: &World, (log_id, client): (&str, &str), at: OffsetDateTime, roles: &Value) {
    let date = at.format(&Rfc3339).expect("a date");
    let body = json!({"app_metadata": {"roles": roles}});
    let request = json!({"method": "patch", "path": "/api/v2/users/auth0%7Cann", "body": body});
    let response = json!({"statusCode": 200, "body": {"user_id": ANN, "updated_at": date}});
    let data = json!({"type": "sapi", "date": date, "client_id": client,
        "details": {"request": request, "response": response}});
    let record = json!({"log_id": log_id, "data": data}).to_string();
    assert_eq!(world.worker().post_logs(LOG_TOKEN, record).await, Some(200));
}

/// The time of the last write to Ann.
fn last_write(world: &World) -> OffsetDateTime {
    world.tenant.history(ANN).last().expect("a write").at
}

/// The tenant has not known the records for ten minutes, and all consequences are done.
async fn unknown(world: &World, records: i64) {
    let folded = "SELECT last_seq FROM stream_cursors WHERE stream = 'AUTH0_LOGS'";
    world
        .eventually("it is folded and had an attempt", async || {
            world.number(folded).await >= Some(records)
                && world.number("SELECT count(*) FROM work_queue").await == Some(0)
        })
        .await;
    let aged = "UPDATE foreign_writes SET asked_at = asked_at - interval '10 minutes', ask_at = now() WHERE ask_at IS NOT NULL";
    sqlx::query(aged)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.quiet().await;
}

#[tokio::test]
async fn f46_a_forged_record_takes_no_role_that_a_person_gave() {
    let world = World::start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["staff"]);
    world.earn(ANN, "pl_1").await;
    world.quiet().await;
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world
        .eventually("the role is revoked", async || world.roles(ANN) == ["staff"])
        .await;
    world.quiet().await;
    let between = last_write(&world) + Duration::from_millis(1);
    let gift = json!({"app_metadata": {"roles": ["staff", ROLE]}});
    world.tenant.dashboard_edit(ANN, gift).expect("an edit");
    world.quiet().await;
    let records = world.number("SELECT last_seq FROM stream_cursors WHERE stream = 'AUTH0_LOGS'");
    let records = records.await.expect("some records");
    post(
        &world,
        ("900forged", "evil"),
        between,
        &json!(["staff", ROLE, "x"]),
    )
    .await;
    unknown(&world, records + 1).await;
    assert_eq!(world.roles(ANN), ["staff", ROLE]);
    let adopted = world.number("SELECT count(*) FROM assignments WHERE adopted");
    assert_eq!(adopted.await, Some(0));
}

/// The worker died before its write was applied, and a record claims that it was applied.
#[tokio::test]
async fn f46_a_forged_record_under_our_own_id_reopens_no_write() {
    let world = World::start().await;
    world.seed_user(ANN, &["base"]);
    unanswered(&world, "1 hour").await;
    let by_hand = json!({"app_metadata": {"roles": ["base", ROLE]}});
    world.tenant.dashboard_edit(ANN, by_hand).expect("an edit");
    world.start_worker().await;
    let closed = "SELECT count(*) FROM profile_writes WHERE closed = 'not_seen' AND wrote_updated_at IS NULL";
    world
        .eventually("it is closed", async || world.number(closed).await == Some(1))
        .await;
    post(
        &world,
        ("900own", CLIENT),
        last_write(&world),
        &json!(["base", ROLE]),
    )
    .await;
    unknown(&world, 1).await;
    assert_eq!(world.number(closed).await, Some(1));
}

/// Two records with very many roles, and two more that an earlier version has stored.
#[tokio::test]
async fn records_with_very_many_roles_hold_up_no_other_user() {
    let world = World::start().await;
    world.seed_user(ANN, &[]);
    world.earn(ANN, "pl_1").await;
    world.quiet().await;
    let wrote = last_write(&world);
    for n in 0..2_u32 {
        let roles: Vec<String> = (0..80_000).map(|role| format!("{:x}", role + n * 7)).collect();
        let at = wrote + Duration::from_millis(1 + u64::from(n));
        post(&world, (&format!("900big{n}"), "evil"), at, &json!(roles)).await;
        let kept = "INSERT INTO foreign_writes (user_id, record_id, written_at, roles, wiped) VALUES ($1, $2, $3, $4, false)";
        let kept = sqlx::query(kept).bind(ANN).bind(format!("kept{n}")).bind(at);
        let kept = kept.bind(json!(roles)).execute(&world.db).await;
        kept.expect("Postgres responds");
    }
    let again = "INSERT INTO work_queue (user_id, priority, force_fetch) VALUES ('auth0|ann', 1, true) ON CONFLICT DO NOTHING";
    sqlx::query(again)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.seed_user("auth0|bob", &[]);
    world.earn("auth0|bob", "pl_2").await;
    world
        .eventually("the other user has the role", async || {
            world.roles("auth0|bob") == [ROLE]
        })
        .await;
    world.quiet().await;
}
