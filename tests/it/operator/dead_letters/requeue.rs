//! Which messages are folded again: whole ones, records of the tenant's log, and none of an erased user.

use std::time::Duration;

use serde_json::json;

use super::{PLAYS, WAITING, corrected, letters, refusing, requeue, requeued};
use crate::world::erasure::KEY;
use crate::world::events::{Form, play, poison, saved};
use crate::world::{ANN, LOG_TOKEN, World, text};

#[tokio::test]
async fn a_long_message_is_taken_from_the_stream() {
    let world = refusing(World::builder()).await;
    world.start_worker().await;
    let long = |id: &str| play(id, "bad").with("note", "x".repeat(6_000));
    letters(&world, &[long("p1"), long("p2")]).await;
    corrected(&world).await;
    let stream = world
        .jetstream
        .get_stream("APP_EVENTS")
        .await
        .expect("the stream");
    stream.purge().sequence(2).await.expect("the first is purged");
    let output = requeue(&world).await;
    let said = text(&output);
    assert!(
        said.contains("APP_EVENTS 1: still waits: only the first 4096 of its"),
        "{said}"
    );
    assert!(
        said.contains("APP_EVENTS 2: folded") && !output.status.success(),
        "{said}"
    );
    assert_eq!(
        (world.number(PLAYS).await, world.number(WAITING).await),
        (Some(1), Some(1))
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_read_still_waits() {
    let world = World::start().await;
    letters(&world, &[poison("a", "pl_1", "{", "not_json")]).await;
    let output = world
        .command(&["dead-letters", "requeue", "APP_EVENTS", "1", "7", "--why", "try"])
        .await;
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains("APP_EVENTS 1: still waits: not_json"),
        "{said}"
    );
    assert!(said.contains("APP_EVENTS 7: no such dead letter"), "{said}");
    let acts = "SELECT count(*) FROM operator_acts WHERE command LIKE 'dead-letters%'";
    assert_eq!(
        (world.number(WAITING).await, world.number(acts).await),
        (Some(1), Some(0))
    );
}

#[tokio::test]
async fn a_record_of_the_log_is_folded_again() {
    let world = World::builder().workers(0).start().await;
    world
        .run_sql(
            "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$;
             CREATE TRIGGER bad BEFORE INSERT ON work_queue FOR EACH ROW EXECUTE FUNCTION bad()",
        )
        .await;
    world.seed_user(ANN, &[]);
    let worker = world.start_worker().await;
    let record = json!({"type": "s", "user_id": ANN, "log_id": "90020261129000000000000000000000000001", "date": "2026-11-29T10:00:00Z"});
    assert_eq!(worker.post_logs(LOG_TOKEN, record.to_string()).await, Some(200));
    world.count_is("it is a dead letter", WAITING, 1).await;
    world.run_sql("DROP TRIGGER bad ON work_queue").await;
    let without = world
        .command_with(
            &[
                "dead-letters",
                "requeue",
                "--reason",
                "refused_by_database",
                "--why",
                "x",
            ],
            &[("AUTH0_CLIENT_ID", "")],
        )
        .await;
    assert!(
        text(&without).contains("AUTH0_CLIENT_ID is not set"),
        "{}",
        text(&without)
    );
    assert!(requeued(&world).await.contains("AUTH0_LOGS 1: folded"));
    let read = "SELECT count(*) FROM users WHERE user_id = 'auth0|ann'";
    world.count_is("the user is read", read, 1).await;
}

#[tokio::test]
async fn a_message_of_an_erased_user_is_removed() {
    let world = refusing(World::builder().env("ERASURE_KEY", KEY)).await;
    world.start_worker().await;
    letters(&world, &[saved("s1", "bad", ANN)]).await;
    world
        .run_sql("CREATE TABLE backup AS SELECT * FROM dead_letters")
        .await;
    world.told(&["erase", "--force", ANN]).await;
    assert_eq!(world.number("SELECT count(*) FROM dead_letters").await, Some(0));
    world
        .run_sql("INSERT INTO dead_letters SELECT * FROM backup")
        .await;
    corrected(&world).await;
    let said = requeued(&world).await;
    assert!(said.contains("removed: it names an erased user"), "{said}");
    assert_eq!(world.number("SELECT count(*) FROM dead_letters").await, Some(0));
    assert_eq!(
        world
            .number("SELECT count(*) FROM playlists WHERE owner_id IS NOT NULL")
            .await,
        Some(0)
    );
}

/// The fold comes to the message again by itself, and then it has counted.
#[tokio::test]
async fn a_message_that_the_fold_reads_again_is_left_to_it() {
    let world = refusing(World::builder()).await;
    let worker = world.start_worker().await;
    letters(&world, &[play("p", "bad")]).await;
    worker.sigterm(Duration::from_secs(20)).await;
    corrected(&world).await;
    world
        .run_sql(
            "INSERT INTO stream_losses (stream, kind, detail) VALUES ('APP_EVENTS', 'rewound', 'a story')",
        )
        .await;
    world.told(&["accept-stream", "APP_EVENTS", "--from", "1"]).await;
    let ahead = requeue(&world).await;
    let by_itself = "the fold reads this message again by itself";
    assert!(text(&ahead).contains(by_itself), "{}", text(&ahead));
    world.start_worker().await;
    world.count_is("it counts", PLAYS, 1).await;
    let counted = requeue(&world).await;
    assert!(
        text(&counted).contains("the cursor was set back"),
        "{}",
        text(&counted)
    );
    assert_eq!(world.number(PLAYS).await, Some(1));
}

#[tokio::test]
async fn a_letter_keeps_the_headers_of_its_event() {
    let world = refusing(World::builder()).await;
    world.start_worker().await;
    letters(
        &world,
        &[
            play("p1", "bad").in_form(Form::Binary),
            play("p2", "bad").in_form(Form::Structured),
        ],
    )
    .await;
    corrected(&world).await;
    let stream = world.jetstream.get_stream("APP_EVENTS").await;
    let stream = stream.expect("the stream");
    stream.purge().sequence(3).await.expect("both are purged");
    let shown = world.told(&["dead-letters", "show", "APP_EVENTS", "1"]).await;
    assert!(shown.contains("header    ce-id: p1\n"), "{shown}");
    requeued(&world).await;
    assert_eq!(
        (world.number(PLAYS).await, world.number(WAITING).await),
        (Some(2), Some(0))
    );
}
