//! The changes of the local copy of users from the tenant's log alone: the same for any order, number and form of the
//! records, and equal to the result of a separate computation.
//!
//! The records are those of `$SAMPLES_DIR/logs`, recorded from live tenants and not part of this project, and a few
//! invented here for cases that no recording has. Without the variable only the latter are used, and the test prints
//! that.

use std::io::Write as _;
use std::path::Path;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper_sandbox::traffic::log_file::LogFile;
use serde_json::{Value, json};

use crate::world::local_copy::{expected, micros};
use crate::world::{LOG_TOKEN, World};

/// All available records.
fn records() -> Vec<Value> {
    let mut records = made_up();
    let Some(folder) = std::env::var_os("SAMPLES_DIR") else {
        say("SAMPLES_DIR is not set: only made-up records are used");
        return records;
    };
    let mut files: Vec<_> = std::fs::read_dir(Path::new(&folder).join("logs"))
        .expect("a folder of samples")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    for file in files {
        let file = LogFile::read(&file).expect("a file of samples");
        records.extend(
            file.records
                .iter()
                .map(|record| serde_json::from_str(record).expect("JSON")),
        );
    }
    records
}

fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "local_copy: {what}");
}

/// Cases that no recording has: events of Event Streams, masked fields, changes by hand, a return after a deletion,
/// records without a date.
fn made_up() -> Vec<Value> {
    let user = |id: &str, updated_at: &str, more: Value| {
        let mut user = json!({"user_id": id, "created_at": "2024-01-01T00:00:00.000Z", "updated_at": updated_at,
            "identities": [{"connection": "google", "provider": "google-oauth2", "access_token": "ya29.secret"}]});
        let members = more.as_object().expect("an object").clone();
        user.as_object_mut().expect("an object").extend(members);
        user
    };
    let event = |kind: &str, time: &str, object: Value| json!({"specversion": "1.0", "type": kind, "source": "urn:auth0:t", "time": time, "data": {"object": object}});
    let log = |data: Value| json!({"log_id": "made-up", "data": data});
    let login = |id: &str, date: &str, name: &str, more: Value| {
        let mut data = json!({"type": "s", "date": date, "user_id": id, "user_name": name, "connection": "Username-Password-Authentication",
            "strategy": "auth0", "strategy_type": "database"});
        data.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        log(data)
    };
    let ann = "google-oauth2|1001";
    let bob = "auth0|bob";
    let eve = "auth0|eve";
    vec![
        event(
            "user.created",
            "2024-01-01T00:00:00.100Z",
            user(
                ann,
                "2024-01-01T00:00:00.000Z",
                json!({"email": "ann@example.com", "name": "Ann", "last_ip": "198.51.100.7"}),
            ),
        ),
        event(
            "user.updated",
            "2024-01-02T00:00:00.100Z",
            user(
                ann,
                "2024-01-02T00:00:00.000Z",
                json!({"email": "ann@example.org", "nickname": "annie",
            "app_metadata": {"roles": ["mentor", "vip"], "plan": "gold"}, "user_metadata": {"displayName": "Ann A."}, "logins_count": 3, "last_login": "2024-01-01T12:00:00.000Z"}),
            ),
        ),
        // Masked, newer than all: it changes only the picture.
        event(
            "user.updated",
            "2024-01-03T00:00:00.100Z",
            user(
                ann,
                "2024-01-03T00:00:00.000Z",
                json!({"email": "m***@example.com", "name": "********", "nickname": "",
            "picture": "https://example.com/a.png", "app_metadata": {"roles": ["mentor"]}}),
            ),
        ),
        login(
            bob,
            "2024-02-01T10:00:00.000Z",
            "bob@example.com",
            json!({"details": {"stats": {"loginsCount": 1}}}),
        ),
        login(
            bob,
            "2024-02-03T10:00:00.000Z",
            "99e9d85137db46ef",
            json!({"details": {"prompts": [{"stats": {"loginsCount": 3}}]}}),
        ),
        login(
            bob,
            "2024-02-02T10:00:00.000Z",
            "bob@example.net",
            json!({"details": {"stats": {"loginsCount": null}}}),
        ),
        log(json!({"type": "s", "user_id": "auth0|nodate", "user_name": "n@example.com"})),
        login(eve, "2024-03-01T10:00:00.000Z", "eve@example.com", json!({})),
        event(
            "user.deleted",
            "2024-03-02T10:00:00.000Z",
            json!({"user_id": eve, "deleted_at": "2024-03-02T10:00:00.000Z", "email": "eve@example.com"}),
        ),
        login(eve, "2024-03-03T10:00:00.000Z", "eve@example.net", json!({})),
        log(
            json!({"type": "sdu", "date": "2024-03-04T10:00:00.000Z", "user_id": "", "user_name": "", "strategy": "auth0", "description": "user_id: mallory"}),
        ),
        login("auth0|mallory", "2024-03-03T10:00:00.000Z", "mallory", json!({})),
        log(
            json!({"type": "sapi", "date": "2024-02-04T10:00:00.000Z", "details": {"request": {"method": "patch", "path": "/api/v2/users/auth0%7Cbob",
            "body": {"nickname": "bobby", "app_metadata": {"roles": ["x"]}}}}}),
        ),
    ]
}

/// The actual table, dates in microseconds.
async fn table(world: &World) -> Vec<Value> {
    let rows = world.rows(
        "SELECT user_id, fields, profile, (extract(epoch FROM last_login_at) * 1000000)::bigint AS last_login_at, gone_at
         FROM users ORDER BY user_id COLLATE \"C\"",
    );
    let mut rows = rows.await;
    for row in &mut rows {
        for said in row["fields"].as_object_mut().expect("an object").values_mut() {
            said["at"] = micros(&said["at"]).into();
        }
    }
    rows
}

/// Rows for these users as an old response would have created them: records create none.
async fn make_rows(world: &World, users: &[Value]) {
    let users: Vec<&str> = users.iter().filter_map(|row| row["user_id"].as_str()).collect();
    let emptied = "TRUNCATE users, work_queue";
    sqlx::raw_sql(emptied)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    let made = "INSERT INTO users (user_id, fetched_at, asked_at) SELECT id, '0001-01-01', '0001-01-01' FROM UNNEST($1::text[]) AS id";
    let made = sqlx::query(made).bind(&users).execute(&world.db).await;
    made.expect("Postgres responds");
}

/// A record under another id: a second copy that passes the bus must not count a second time. Every record gets an
/// invented id, since some samples share one.
fn renamed(record: &Value, id: &str) -> Value {
    let mut record = record.clone();
    let event = record.get("specversion").is_some();
    if event {
        record["id"] = id.into();
    } else if record.get("type").is_none() {
        record["log_id"] = id.into();
        record["data"]["log_id"] = id.into();
    } else {
        record["log_id"] = id.into();
        record["_id"] = id.into();
    }
    record
}

/// Records in bodies of the given form, some in each.
fn bodies(records: &[Value], form: usize, rng: &mut StdRng) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let some = if form == 3 {
            1
        } else {
            rng.random_range(1..=40.min(rest.len()))
        };
        let (batch, others) = rest.split_at(some);
        rest = others;
        let lines: Vec<String> = batch.iter().map(Value::to_string).collect();
        bodies.push(match form {
            0 => lines.join("\n"),
            1 => json!(batch).to_string(),
            2 => json!({"logs": batch}).to_string(),
            _ => lines.concat(),
        });
    }
    bodies
}

async fn folded(world: &World) {
    world
        .eventually("all is folded", async || {
            let stream = world.jetstream.get_stream("AUTH0_LOGS").await;
            let last = stream.map(|stream| stream.cached_info().state.last_sequence.cast_signed());
            let cursor = world
                .number("SELECT last_seq FROM stream_cursors WHERE stream = 'AUTH0_LOGS'")
                .await;
            last.ok() == cursor
        })
        .await;
}

#[tokio::test]
async fn the_table_does_not_depend_on_order_or_form_of_records() {
    let world = World::builder()
        .env("ONLY", "http,fold")
        .env("FOLD_BATCH", 16)
        .start()
        .await;
    let records = records();
    let must = expected(&records);
    for round in 0..8_usize {
        make_rows(&world, &must).await;
        let mut rng = StdRng::seed_from_u64(round as u64);
        let mut doubled = Vec::new();
        for (number, record) in records.iter().enumerate() {
            for copy in 0..2 {
                doubled.push(renamed(record, &format!("{round}-{number}-{copy}")));
            }
        }
        doubled.shuffle(&mut rng);
        let bodies = bodies(&doubled, round % 4, &mut rng);
        let worker = world.worker();
        for body in &bodies {
            assert_eq!(worker.post_logs(LOG_TOKEN, body.clone()).await, Some(200));
        }
        // The same again, which the bus recognises.
        assert_eq!(worker.post_logs(LOG_TOKEN, bodies[0].clone()).await, Some(200));
        folded(&world).await;
        let is = table(&world).await;
        for (is, must) in is.iter().zip(&must) {
            assert_eq!(is, must, "round {round}");
        }
        assert_eq!(is.len(), must.len(), "round {round}");
    }
    say(&format!(
        "{} records, {} users, 8 rounds",
        records.len(),
        must.len()
    ));
}

#[tokio::test]
async fn a_read_fills_the_copy_and_a_deletion_empties_it() {
    let world = World::start().await;
    world.connect_log_stream().await;
    let profile = json!({"email": "ann@example.com", "user_metadata": {"displayName": "Ann"}, "app_metadata": {"roles": ["mentor"], "plan": "gold"}});
    world
        .tenant
        .create_user("auth0|ann", profile.clone())
        .expect("a sign-up");
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    world.tenant.login("auth0|ann").expect("a login");
    world.settled().await;
    let value = async |name: &'static str| {
        let query = "SELECT fields FROM users WHERE user_id = 'auth0|ann'";
        world.rows(query).await[0]["fields"][name]["value"].clone()
    };
    let now = world.tenant.user("auth0|ann").expect("there");
    for name in ["email", "created_at"] {
        assert_eq!(value(name).await, now[name], "{name}");
    }
    assert_eq!(
        value("roles").await,
        now["app_metadata"]["roles"],
        "also what was just written"
    );
    assert_eq!(value("display_name").await, "Ann");
    let whole = "SELECT count(*) FROM users WHERE profile -> 'app_metadata' ->> 'plan' = 'gold' AND NOT profile ? 'last_ip'";
    assert_eq!(world.number(whole).await, Some(1));

    assert!(world.tenant.delete_user("auth0|ann"));
    world.quiet().await;
    let empty = "SELECT count(*) FROM users WHERE gone_at IS NOT NULL AND profile IS NULL AND fields = '{}'";
    assert_eq!(world.number(empty).await, Some(1));
    world.tenant.create_user("auth0|ann", profile).expect("a sign-up");
    world.quiet().await;
    assert_eq!(
        (world.number(empty).await, value("email").await),
        (Some(0), json!("ann@example.com"))
    );
}
