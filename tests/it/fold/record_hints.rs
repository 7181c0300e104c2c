//! A record of the tenant's log is a hint: a forged, odd or foreign record, or thousands of them, changes no roles,
//! plan or flags, delays no user and stops nothing.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{ANN, LOG_TOKEN, World, size};

/// Posts records to the webhook, all in one body.
async fn post(world: &World, records: &[Value]) {
    let worker = world.worker();
    let posted = worker.post_logs(LOG_TOKEN, json!(records).to_string()).await;
    assert_eq!(posted, Some(200));
}

/// An event of Event Streams about Ann, with a date far in the future.
fn forged(id: &str) -> Value {
    let object = json!({"user_id": ANN, "created_at": "2024-01-01T00:00:00Z", "updated_at": "9999-12-30T00:00:00Z",
        "email": "mallory@example.com", "email_verified": true, "blocked": false,
        "app_metadata": {"roles": ["admin"], "plan": "premium"}});
    let before = json!({"app_metadata": {"roles": ["admin"]}});
    json!({"specversion": "1.0", "id": id, "source": "urn:auth0:t", "type": "user.updated", "time": "9999-12-30T00:00:00Z",
        "data": {"object": object, "previous_object": before}})
}

/// A user who was read once: an editor with the plan `gold` of `seed_user`.
pub(super) async fn an_editor(world: &World) {
    world.seed_user(ANN, &["vip"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
}

/// F46: forged, repeated, late and reordered log records of writes of other clients, by the thousand: promise 8.
#[tokio::test]
async fn f46_a_record_dated_ahead_does_not_freeze_the_copy() {
    let world = World::start().await;
    an_editor(&world).await;
    post(&world, &[forged("1")]).await;
    let copy = "SELECT profile #>> '{app_metadata,plan}' AS plan, fields #>> '{email,value}' AS email,
        fields #> '{roles,value}' AS roles FROM users";
    world.settled().await;
    let user = world.tenant.user(ANN).expect("there");
    let right = json!({"plan": "gold", "email": user["email"], "roles": ["vip", "playlist_editor"]});
    world
        .eventually("the copy equals the response of Auth0", async || {
            world.rows(copy).await == [right.clone()]
        })
        .await;
    assert_eq!(world.roles(ANN), ["vip", "playlist_editor"]);
}

#[tokio::test]
async fn f46_no_record_changes_roles_plan_or_flags_of_the_copy() {
    let world = World::start().await;
    an_editor(&world).await;
    world.worker().kill9().await;
    // Without the stage that reads Auth0 again, the values of the records stay.
    world.start_worker_with(&[("ONLY", "http,fold")]).await;
    let before = world
        .rows("SELECT profile, fields - 'email' AS fields, gone_at FROM users")
        .await;
    let date = "9999-12-30T00:00:00Z";
    let body = json!({"email": "m@example.com", "app_metadata": {"roles": ["admin"], "plan": "premium"}, "blocked": false});
    let sapi = |method: &str, path: &str| json!({"type": "sapi", "date": date, "details": {"request": {"method": method, "path": path, "body": body}}});
    post(
        &world,
        &[
            forged("1"),
            sapi("patch", "/api/v2/users/auth0%7Cann"),
            sapi("delete", "/api/v2/users/auth0%7Cann"),
            json!({"type": "ss", "date": date, "user_id": ANN, "details": {"body": body}}),
            json!({"type": "sv", "date": date, "user_id": ANN}),
            json!({"type": "s", "date": date, "user_id": ANN, "user_name": "m@example.com"}),
        ],
    )
    .await;
    let email = "SELECT count(*) FROM users WHERE fields #>> '{email,value}' = 'm@example.com' AND last_login_at <= now()
        AND (fields #>> '{email,at}')::timestamptz <= now()";
    world
        .eventually("a record changes an e-mail", async || {
            world.number(email).await == Some(1)
        })
        .await;
    let after = world
        .rows("SELECT profile, fields - 'email' AS fields, gone_at FROM users")
        .await;
    assert_eq!(after, before);
}

/// Time from the plays of a new user to the role.
async fn crossing(world: &World, name: &str) -> Duration {
    let user = format!("auth0|{name}");
    world.seed_user(&user, &[]);
    let began = Instant::now();
    world.earn(&user, &format!("pl_{name}")).await;
    world
        .eventually("an editor", async || world.roles(&user) == ["playlist_editor"])
        .await;
    began.elapsed()
}

/// Reads of users whom only forged records name.
fn invented_reads(world: &World) -> u32 {
    let invented = |user: &String| user.starts_with("auth0|invented");
    let reads = world.tenant.with_calls(|calls| {
        let users = calls.iter().filter_map(|call| call.user_id.as_ref());
        users.filter(|user| invented(user)).count()
    });
    u32::try_from(reads).expect("a small number")
}

#[tokio::test]
async fn f46_records_about_invented_ids_leave_no_rows() {
    let invented = size(5_000, 100_000);
    let world = World::builder().env("AUTH0_PLAN", "100:200").start().await;
    let mut usual = Duration::ZERO;
    for number in 0..5 {
        usual = usual.max(crossing(&world, &format!("usual{number}")).await);
    }
    let date = "2026-11-24T00:00:00Z";
    let sign_up = |number: u32| json!({"type": "ss", "date": date, "user_id": format!("auth0|invented{number}"), "user_name": "a@b.c"});
    let began = Instant::now();
    for some in (0..invented).map(sign_up).collect::<Vec<_>>().chunks(500) {
        post(&world, some).await;
    }
    world
        .eventually("all wait for an attempt", async || {
            world
                .number("SELECT count(*) FROM work_queue WHERE priority = 3")
                .await
                > Some(i64::from(invented / 5 * 4))
        })
        .await;
    let meanwhile = crossing(&world, "meanwhile").await;
    // Below a perceptible delay the load of the machine decides, not the queue.
    let bound = (usual * 2).max(Duration::from_secs(1));
    assert!(meanwhile <= bound, "{meanwhile:?}, usually {usual:?}");
    world
        .eventually("some were read", async || {
            world.calls_to(Endpoint::ReadUser) > 100
        })
        .await;
    let reads = invented_reads(&world);
    // A quarter of 200 a second, and a quarter of the burst.
    let most = 50.0 * began.elapsed().as_secs_f64() + 25.0 + 1.0;
    assert!(f64::from(reads) <= most, "{reads} reads, at most {most}");
    let rows = "SELECT count(*) FROM users WHERE user_id LIKE 'auth0|invented%'";
    assert_eq!(world.number(rows).await, Some(0));
}

#[tokio::test]
async fn f46_records_of_another_tenant_are_counted_and_dropped() {
    let world = World::builder().env("AUTH0_TENANT_NAME", "Music").start().await;
    an_editor(&world).await;
    let reads = world.calls_to(Endpoint::ReadUser);
    let login = |tenant: Value| {
        json!({"type": "sapi", "date": "2026-11-24T00:00:00Z", "tenant_name": tenant, "details": {"request": {
        "method": "patch", "path": "/api/v2/users/auth0%7Cann", "body": {"app_metadata": {"roles": []}}}}})
    };
    let mut event = forged("1");
    event["a0tenant"] = json!("music-dev");
    let mut others = vec![event];
    others.extend((0..550).map(|_| login(json!("music-dev"))));
    for (number, one) in others.iter_mut().enumerate() {
        one["log_id"] = json!(format!("other-{number}"));
    }
    post(&world, &others).await;
    let worker = world.worker();
    let dropped = "rolekeeper_other_tenant_records_total";
    world
        .eventually("all are counted", async || {
            worker.count(dropped).await == Some(551)
        })
        .await;
    assert_eq!(worker.count("rolekeeper_mostly_other_tenant").await, Some(1));
    let says = |what: &str| {
        worker
            .messages()
            .iter()
            .filter(|line| line.contains(what))
            .count()
    };
    assert_eq!(says("name another tenant and were dropped"), 1);
    assert_eq!(world.calls_to(Endpoint::ReadUser), reads);
    for (number, own) in [json!("MUSIC"), json!(null)].into_iter().enumerate() {
        post(&world, &[login(own)]).await;
        world
            .eventually("taken", async || {
                world.calls_to(Endpoint::ReadUser) > reads + number
            })
            .await;
    }
    assert_eq!(worker.count(dropped).await, Some(551));
}

#[tokio::test]
async fn a_fold_without_the_tenants_name_says_so_once() {
    let world = World::builder()
        .env("ONLY", "fold")
        .env("AUTH0_DOMAIN", "")
        .start()
        .await;
    let worker = world.worker();
    let warning = |line: &&String| line.contains("set AUTH0_TENANT_NAME");
    assert_eq!(worker.messages().iter().filter(warning).count(), 1);
}

/// F56: 3 million users, playlists and holders: idle, scrape, start, rule change, erasure, a call for Auth0's own roles: the cost is as
/// with 30 thousand.
#[tokio::test]
async fn f56_an_import_is_one_mark_and_auth0_roles_are_none() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    an_editor(&world).await;
    let reads = world.calls_to(Endpoint::ReadUser);
    let verified = "SELECT user_id, verified_at FROM assignments";
    let before = world.rows(verified).await;
    let rbac = json!({"type": "sapi", "date": "2026-11-24T00:00:00Z", "details": {"request": {"method": "post",
        "path": "/api/v2/roles/rol_1/users", "body": {"users": [ANN]}}}});
    post(&world, &[rbac]).await;
    world.settled().await;
    assert_eq!(world.number("SELECT count(*) FROM reverify").await, Some(0));
    assert_eq!(
        (world.rows(verified).await, world.calls_to(Endpoint::ReadUser)),
        (before, reads)
    );
    for number in 0..5 {
        let import =
            json!({"type": "sui", "date": "2026-11-24T00:00:00Z", "log_id": format!("import-{number}")});
        post(&world, &[import]).await;
    }
    let anew =
        "SELECT count(*) FROM assignments, reverify WHERE verified_at > before AND before > '-infinity'";
    world
        .eventually("the holder was verified again", async || {
            world.number(anew).await == Some(1)
        })
        .await;
    world.settled().await;
    let told = "SELECT count(*) FROM reverify WHERE before <= reported_at";
    assert_eq!(world.number(told).await, Some(1));
    // Five imports within the hour are verified once, or twice if the sweep came between them.
    assert!((1..=2).contains(&(world.calls_to(Endpoint::ReadUser) - reads)));
}
