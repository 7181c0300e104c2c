//! A second program writes roles under our own client id: writes stop once Auth0 confirms it, and only then.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::world::oracle::ROLE;
use crate::world::{ANN, CLIENT, LOG_TOKEN, World, text};

const BOB: &str = "auth0|bob";
const OWN: &str = "SELECT count(*) FROM foreign_writes WHERE own";
const STOPPED: &str = "SELECT count(*) FROM pause WHERE unknown_write";

/// Ann and Bob are known, and Ann holds the role.
async fn known() -> World {
    let world = World::start().await;
    world.connect_log_stream().await;
    for (user, playlist) in [(ANN, "pl_ann"), (BOB, "pl_bob")] {
        world.seed_user(user, &["mentor"]);
        world.earn(user, playlist).await;
    }
    world.settled().await;
    world
}

async fn stopped(world: &World) {
    world
        .eventually("writes are stopped", async || {
            world.number(STOPPED).await == Some(1)
        })
        .await;
}

#[tokio::test]
async fn a_second_writer_with_our_client_id_stops_the_writes() {
    let world = known().await;
    let theirs = json!({"app_metadata": {"roles": ["mentor", ROLE, "vip"]}});
    world
        .tenant
        .edit_by_other_client(CLIENT, ANN, theirs)
        .expect("an edit");
    stopped(&world).await;
    let worker = world.worker();
    world
        .eventually("it is shown", async || {
            worker.count("rolekeeper_stopped_by_unknown_write").await == Some(1) && !worker.is_ready().await
        })
        .await;
    let told = worker.messages();
    assert!(
        told.iter().any(|line| line.starts_with("writes are stopped")),
        "{told:?}"
    );
    let patches = world.patches();
    world.seed_user("auth0|cid", &[]);
    world.earn("auth0|cid", "pl_cid").await;
    let waits = "SELECT count(*) FROM work_queue WHERE user_id = 'auth0|cid' AND due_at < now()";
    world
        .eventually("a third user waits", async || {
            world.number(waits).await == Some(1)
        })
        .await;
    let refused = world.command(&["resume"]).await;
    assert!(
        !refused.status.success() && text(&refused).contains("--why"),
        "{}",
        text(&refused)
    );
    assert_eq!(world.patches(), patches, "nothing is written");
    world
        .told(&["resume", "--why", "the script has a client of its own"])
        .await;
    world
        .eventually("it continues", async || {
            world.roles("auth0|cid") == [ROLE] && worker.is_ready().await
        })
        .await;
    assert_eq!(world.number(STOPPED).await, Some(0));
}

#[tokio::test]
async fn a_second_writer_that_goes_on_after_resume_stops_the_writes() {
    let world = known().await;
    for role in ["vip", "admin"] {
        let theirs = json!({"app_metadata": {"roles": ["mentor", ROLE, role]}});
        let edit = world.tenant.edit_by_other_client(CLIENT, ANN, theirs);
        edit.expect("an edit");
        stopped(&world).await;
        world.told(&["resume", "--why", "a story"]).await;
    }
}

/// Forged records of one user cost one call an hour, and those of invented users none.
#[tokio::test]
async fn a_forged_record_under_our_client_id_stops_nothing() {
    let world = known().await;
    let wrote = world.tenant.history(ANN).last().expect("a write").at + Duration::from_millis(5);
    let date = wrote.format(&Rfc3339).expect("a date");
    let record = |n: u32| {
        let user = if n < 20 {
            "ann".to_owned()
        } else {
            format!("unknown{n}")
        };
        let body = json!({"app_metadata": {"roles": [format!("admin{n}")]}});
        let request =
            json!({"method": "patch", "path": format!("/api/v2/users/auth0%7C{user}"), "body": body});
        let details = json!({"request": request});
        json!({"log_id": format!("900{n}"), "data": {"type": "sapi", "date": date, "client_id": CLIENT, "details": details}})
    };
    let forged: Vec<Value> = (0..200).map(record).collect();
    let body = Value::from(forged).to_string();
    assert_eq!(world.worker().post_logs(LOG_TOKEN, body).await, Some(200));
    let asked = "SELECT count(*) FROM foreign_writes WHERE own AND asks > 0";
    world
        .eventually("the tenant got one request", async || {
            world.number(asked).await == Some(1)
        })
        .await;
    // Ten minutes later it still does not know the record.
    let aged = "UPDATE foreign_writes SET asked_at = asked_at - interval '10 minutes', ask_at = now() WHERE ask_at IS NOT NULL";
    sqlx::raw_sql(aged)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    let judged = "SELECT count(*) FROM foreign_writes WHERE verdict = 'unknown'";
    world
        .eventually("it is judged", async || world.number(judged).await == Some(1))
        .await;
    world.seed_user("auth0|cid", &[]);
    world.earn("auth0|cid", "pl_cid").await;
    world
        .eventually("writes continue", async || world.roles("auth0|cid") == [ROLE])
        .await;
    assert_eq!(
        (world.number(STOPPED).await, world.number(asked).await),
        (Some(0), Some(1))
    );
}

/// Our write is applied and its response is lost, or reports a refusal: its record is not from another program.
#[tokio::test]
async fn unanswered_and_refused_writes_of_ours_stop_nothing() {
    let world = World::start().await;
    for (user, playlist) in [(ANN, "pl_ann"), (BOB, "pl_bob")] {
        world.seed_user(user, &["mentor"]);
        let patch = CallMatch::to(Endpoint::PatchUser).client(CLIENT).user(user);
        world.tenant.fault_once(patch, Fault::AppliedButUnanswered);
        world.earn(user, playlist).await;
    }
    let confirmed = "SELECT count(*) FROM role_changes WHERE outcome = 'confirmed'";
    world
        .eventually("both are seen done", async || {
            world.number(confirmed).await == Some(2)
        })
        .await;
    let refused =
        "UPDATE profile_writes SET closed = 'refused', completed_at = NULL WHERE user_id = 'auth0|bob'";
    sqlx::raw_sql(refused)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.worker().sigterm(Duration::from_secs(10)).await;
    // Reads the tenant's log from its beginning.
    let filler = [
        ("LOG_GAP_FILLER", "on"),
        ("LOG_GAP_FILLER_START", "oldest"),
        ("LOG_GAP_FILLER_DELAY_S", "1"),
    ];
    world.start_worker_with(&filler).await;
    world
        .eventually("both records are folded", async || {
            world
                .number("SELECT count(*) FROM profile_writes WHERE followed_up_at IS NOT NULL")
                .await
                == Some(1)
                && world.number(OWN).await == Some(1)
        })
        .await;
    let asked = "SELECT count(*) FROM foreign_writes WHERE asked_at IS NOT NULL";
    assert_eq!(
        (world.number(asked).await, world.number(STOPPED).await),
        (Some(0), Some(0))
    );
}
