//! F46: forged, repeated, late and reordered log records of writes of other clients, by the thousand: promise 8. A client that can post a
//! record to the webhook, or publish one, cannot change a role of another client with it.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{Actor, Endpoint};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::world::oracle::ROLE;
use crate::world::{CLIENT, LOG_TOKEN, World};

/// The variants that cause a request to the tenant: those with a time between our read and our write, and the one under
/// our own client id.
const ASKED: [&str; 5] = ["adds", "removes", "other-tenant", "wrong-id", "own-client"];
/// All variants.
const ALL: [&str; 11] = [
    "adds",
    "removes",
    "other-tenant",
    "wrong-id",
    "six-days-old",
    "ahead",
    "no-log-id",
    "event",
    "import",
    "rbac",
    "own-client",
];

fn user(variant: &str) -> String {
    format!("auth0|{variant}")
}

fn text(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).expect("a date")
}

/// Time of our write of the user's roles, by the tenant's clock.
fn written_at(world: &World, user: &str) -> OffsetDateTime {
    let by_us = Actor::Client(CLIENT.to_owned());
    let history = world.tenant.history(user);
    history
        .iter()
        .rfind(|version| version.by == by_us)
        .expect("we wrote")
        .at
}

/// The record of a PATCH in the form of the tenant's log, dated one millisecond before our write.
fn forged(world: &World, variant: &str) -> Value {
    let user = user(variant);
    let wrote = written_at(world, &user);
    let at = match variant {
        "six-days-old" => wrote - Duration::from_hours(6 * 24),
        "ahead" => wrote + Duration::from_hours(24),
        _ => wrote - Duration::from_millis(1),
    };
    let roles = if variant == "removes" {
        json!([ROLE])
    } else {
        json!(["mentor", "vip"])
    };
    let body = json!({"app_metadata": {"roles": roles}});
    let path = format!("/api/v2/users/auth0%7C{variant}");
    let (date, id) = (text(at), format!("900{variant}"));
    let client = if variant == "own-client" { CLIENT } else { "crm" };
    let request = json!({"method": "patch", "path": path, "body": body});
    let mut data =
        json!({"type": "sapi", "date": date, "client_id": client, "details": {"request": request}});
    match variant {
        "other-tenant" => data["tenant_name"] = "another".into(),
        "import" => data["type"] = "sui".into(),
        "rbac" => {
            data["details"]["request"] =
                json!({"method": "post", "path": "/api/v2/roles/rol_admin/users", "body": {"users": [user]}});
        }
        "no-log-id" => return json!({"data": data}),
        // The id of a record that the tenant has, of another action.
        "wrong-id" => return json!({"log_id": world.tenant.logged()[0].log_id, "data": data}),
        "event" => {
            let now = json!({"user_id": user, "updated_at": date, "app_metadata": {"roles": roles}});
            return json!({"specversion": "1.0", "type": "user.updated", "id": id, "time": date, "data": {"object": now}});
        }
        _ => {}
    }
    json!({"log_id": id, "data": data})
}

/// Returns true if all records are folded and all their users had an attempt.
async fn looked_at(world: &World, records: i64) -> bool {
    let folded = "SELECT last_seq FROM stream_cursors WHERE stream = 'AUTH0_LOGS'";
    let due = "SELECT count(*) FROM work_queue";
    world.number(folded).await >= Some(records) && world.number(due).await == Some(0)
}

/// Fails the test if any role but our own was written.
fn only_ours(world: &World) {
    for variant in ALL {
        assert_eq!(world.roles(&user(variant)), ["mentor", ROLE], "{variant}");
    }
}

#[tokio::test]
async fn f46_no_forged_record_changes_a_role_of_another_client() {
    let world = World::start().await;
    for variant in ALL {
        world.seed_user(&user(variant), &["mentor"]);
        world.earn(&user(variant), &format!("pl_{variant}")).await;
    }
    world.settled().await;
    let records: Vec<Value> = ALL.iter().map(|variant| forged(&world, variant)).collect();
    let worker = world.worker();
    let body = Value::from(records.clone()).to_string();
    assert_eq!(worker.post_logs(LOG_TOKEN, body).await, Some(200));
    let count = i64::try_from(records.len()).expect("some records");
    world
        .eventually("all had an attempt", async || looked_at(&world, count).await)
        .await;
    only_ours(&world);
    world
        .eventually("the tenant got a request", async || {
            world.calls_to(Endpoint::ReadLog) >= ASKED.len()
        })
        .await;
    // Ten minutes later it still does not know them.
    let aged = "UPDATE foreign_writes SET asked_at = asked_at - interval '10 minutes', ask_at = now() WHERE ask_at IS NOT NULL";
    sqlx::query(aged)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.quiet().await;
    only_ours(&world);
    let asked = world.number("SELECT count(*) FROM foreign_writes WHERE verdict IN ('unknown', 'differs')");
    assert_eq!(asked.await, Some(5), "no other record costs a call");
    let stopped = world.number("SELECT count(*) FROM pause");
    assert_eq!(stopped.await, Some(0), "and none stops the writes");
    let reported = world
        .worker()
        .metric("rolekeeper_races_total{outcome=\"unconfirmed\"}")
        .await;
    assert!(reported >= 4.0, "{reported} of the forgeries are reported");
}
