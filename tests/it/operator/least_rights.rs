//! Least rights: one role migrates and another runs at Postgres, and each kind of program has its own user at
//! nats-server.

use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, consumer};
use futures_util::StreamExt as _;
use sqlx::{Connection as _, PgConnection};

use super::evidence::chained;
use crate::world::erasure::KEY;
use crate::world::events::{plays, saved};
use crate::world::oracle::ROLE;
use crate::world::{ANN, PASSWORD, World, roles, text};

/// All commands but those that end the data of a user.
const COMMANDS: [&[&str]; 21] = [
    &["pause", "--why", "a test"],
    &["resume"],
    &["limits", "set", "reserve", "0.1", "--why", "a test"],
    &["adopt", "--user", ANN],
    &["discover"],
    &["announce", "--from", "start"],
    &["rules", "show"],
    &["brake"],
    &["changes"],
    &["parked"],
    &["pipe"],
    &["queue"],
    &["dead-letters", "list"],
    &["tenant"],
    &["pin", ANN, ROLE, "on", "--why", "a test"],
    &["pins"],
    &["unpin", ANN, ROLE],
    &["export", ANN],
    &["explain", ANN],
    &["evidence", "--from", "2000-01-01"],
    &["acts"],
];

/// Changes of the audit and of the schema.
const NOT_ALLOWED: [&str; 14] = [
    "DELETE FROM role_changes",
    "TRUNCATE role_changes",
    "UPDATE role_changes SET user_id = 'erased:' || repeat('0', 64)",
    "DELETE FROM role_change_chain",
    "DELETE FROM operator_acts",
    "UPDATE operator_acts SET why = 'erased:' || repeat('0', 64)",
    "DELETE FROM limits",
    "UPDATE limits SET value = 0",
    "ALTER TABLE role_changes DISABLE TRIGGER ALL",
    "DROP TRIGGER role_changes_stay ON role_changes",
    "DROP TABLE users",
    "CREATE TABLE mine (id bigint)",
    "DELETE FROM _sqlx_migrations",
    "SET ROLE rolekeeper_migrate",
];

/// Postgres' error for the running role; empty on success.
async fn refusal(run: &mut PgConnection, statement: &'static str) -> String {
    let done = sqlx::raw_sql(statement).execute(&mut *run).await;
    done.err().map_or_else(String::new, |error| error.to_string())
}

/// A client with the connection of that kind of program.
async fn client(world: &World, user: &str, inbox: &str) -> async_nats::Client {
    let url = world.nats.lock().await.url();
    let options = ConnectOptions::with_user_and_password(user.into(), PASSWORD.into());
    let options = options.custom_inbox_prefix(inbox);
    options.connect(url).await.expect("nats-server lets it in")
}

/// F60: PgBouncer in transaction mode, a NATS user with least permissions, a JetStream domain, a private CA everywhere: works as
/// documented, or is refused at the start with a sentence.
#[tokio::test]
async fn f60_the_running_role_does_all_that_a_worker_and_operators_do() {
    let dedup_window = ("DEDUP_WINDOW", "1h");
    let world = World::builder()
        .least_rights()
        .env(dedup_window.0, dedup_window.1)
        .env("ERASURE_KEY", KEY)
        .env("SWEEP_INTERVAL_S", 1)
        .start()
        .await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
    chained(&world).await;
    for command in COMMANDS {
        world.told(command).await;
    }
    world.quiet().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = folder.path().join("a.plan").display().to_string();
    world.told(&["plan", "-o", &plan]).await;
    world.told(&["apply", &plan, "--why", "a test"]).await;
    let past = crate::world::nats_options::file(&folder, "past.csv", "playlist_id,plays\npl_1,1\n");
    world.told(&["import", &past]).await;
    world.told(&["erase", "--force", ANN]).await;
    let named = "SELECT count(*) FROM role_changes WHERE user_id LIKE 'erased:%'";
    assert_eq!(world.number(named).await, Some(1));
    world.told(&["readmit", ANN]).await;
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'event_ids'::regclass";
    assert!(
        world.number(partitions).await > Some(0),
        "the fold made a partition of ids"
    );
    let acts = "SELECT count(*) FROM operator_acts WHERE db_user = 'rolekeeper_run'";
    assert_eq!(world.number(acts).await, Some(13));
}

#[tokio::test]
async fn the_running_role_changes_neither_audit_nor_schema() {
    let world = World::builder().least_rights().start().await;
    world.seed_user(ANN, &[]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    // A second run with everything in place, as an operator may do.
    let admin = world.postgres().await.url("postgres");
    let database = world
        .setting("DATABASE_URL")
        .replace("rolekeeper_run", "postgres");
    assert_ne!(admin, database);
    roles(&database).await;
    let mut run = PgConnection::connect(&world.setting("DATABASE_URL"))
        .await
        .expect("Postgres");
    for statement in NOT_ALLOWED {
        let said = refusal(&mut run, statement).await;
        assert!(
            said.contains("permission denied") || said.contains("must be owner"),
            "{statement}: {said:?}"
        );
    }
    let forged = "SELECT erase_from_audit('auth0|ann', 'erased:' || repeat('0', 64), '{}', '{}')";
    assert!(refusal(&mut run, forged).await.contains("no erased person"));
    let untrusted = "SELECT has_function_privilege('public', p.oid, 'EXECUTE') FROM pg_proc p WHERE prosecdef AND NOT (proconfig @> ARRAY['search_path=public, pg_temp'])";
    let untrusted = sqlx::query(untrusted).fetch_all(&mut run).await.expect("rows");
    assert!(
        untrusted.is_empty(),
        "each such function has a search path of its own"
    );
}

#[tokio::test]
async fn a_publisher_publishes_plays_and_nothing_else() {
    let world = World::builder().least_rights().start().await;
    let app = client(&world, "app", "_INBOX_app").await;
    let app = jetstream::new(app);
    world.seed_user(ANN, &[]);
    world.publish(&[saved("s1", "pl_1", ANN)]).await;
    for event in plays("p", "pl_1", 0..100) {
        let ack = app
            .publish(event.subject.clone(), event.payload.clone().into())
            .await
            .expect("sent");
        ack.await.expect("stored");
    }
    world
        .eventually("the role is there", async || world.roles(ANN) == [ROLE])
        .await;
    let tries = [
        "roles.playlist_editor.granted",
        "auth0.logs.sapi",
        "$JS.API.STREAM.PURGE.APP_EVENTS",
        "$JS.API.STREAM.DELETE.ROLE_CHANGES",
        "$JS.API.STREAM.INFO.AUTH0_LOGS",
    ];
    let raw = client(&world, "app", "_INBOX_app").await;
    for subject in tries {
        let asked = raw.request(subject, "{}".into());
        let answer = tokio::time::timeout(Duration::from_millis(500), asked).await;
        assert!(!matches!(answer, Ok(Ok(_))), "{subject}: {answer:?}");
    }
    let granted = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
    world
        .eventually("one change is announced", async || {
            world.number(granted).await == Some(1)
        })
        .await;
    let state = world
        .jetstream
        .get_stream("ROLE_CHANGES")
        .await
        .expect("the stream");
    assert_eq!(state.cached_info().state.messages, 1);
}

#[tokio::test]
async fn a_reader_of_role_changes_reads_and_changes_nothing() {
    let world = World::builder().least_rights().start().await;
    let stream = world
        .jetstream
        .get_stream("ROLE_CHANGES")
        .await
        .expect("the stream");
    let durable = consumer::pull::Config {
        durable_name: Some("mailer".to_owned()),
        ..consumer::pull::Config::default()
    };
    stream.create_consumer(durable).await.expect("a consumer");
    world.seed_user(ANN, &[]);
    world.earn(ANN, "pl_1").await;
    let mailer = client(&world, "mailer", "_INBOX_mailer").await;
    let consumer: consumer::PullConsumer = jetstream::new(mailer.clone())
        .get_consumer_from_stream("mailer", "ROLE_CHANGES")
        .await
        .expect("its consumer");
    let pull = consumer.fetch().max_messages(1).expires(Duration::from_secs(10));
    let mut told = pull.messages().await.expect("a pull");
    let told = told.next().await.expect("a change").expect("a message");
    assert_eq!(told.subject.as_str(), "roles.playlist_editor.granted");
    told.double_ack().await.expect("it is acknowledged");
    for subject in [
        "roles.playlist_editor.revoked",
        "plays.pl_1",
        "$JS.API.STREAM.PURGE.ROLE_CHANGES",
    ] {
        let asked = mailer.request(subject, "{}".into());
        let answer = tokio::time::timeout(Duration::from_millis(500), asked).await;
        assert!(!matches!(answer, Ok(Ok(_))), "{subject}: {answer:?}");
    }
}

#[tokio::test]
async fn migrate_by_the_running_role_names_the_one_to_use() {
    let world = World::builder().workers(0).least_rights().start().await;
    let refused = world.command(&["migrate"]).await;
    let said = text(&refused);
    assert!(!refused.status.success(), "{said}");
    assert!(
        said.contains("DATABASE_URL") && said.contains("rolekeeper_migrate"),
        "{said}"
    );
}
