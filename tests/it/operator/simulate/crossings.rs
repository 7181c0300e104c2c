//! The crossings of a history, against a count of the published events.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{Crossing, crossings, proposed, says, simulated};
use crate::world::events::plays;
use crate::world::{APP_EVENTS, World, user};

/// The crossings of one playlist's owner, counted from the stored messages from `start` plays on.
async fn counted(world: &World, start: i64, thresholds: &[i64]) -> Vec<Crossing> {
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    let state = stream.cached_info().state.clone();
    let (mut count, mut found) = (start, Vec::new());
    for seq in state.first_sequence..=state.last_sequence {
        let message = stream.get_raw_message(seq).await.expect("a message");
        let event: Value = serde_json::from_slice(&message.payload).expect("JSON");
        let change = match event["type"].as_str() {
            Some("play") => 1,
            Some("play_retracted") => -1,
            _ => 0,
        };
        let reached = |count: i64| thresholds.iter().filter(|threshold| count >= **threshold).count();
        if reached(count) != reached(count + change) {
            let micros = message.time.nanosecond() / 1_000 * 1_000;
            let at = message.time.replace_nanosecond(micros).expect("a time");
            let id = event["event_id"].as_str().expect("an id").to_owned();
            let at = at.format(&Rfc3339).expect("a date");
            found.push((id, at, count + change, change > 0));
        }
        count += change;
    }
    found
}

/// A position of the fold, which it had before all messages of the story.
const MARK: &str = "INSERT INTO cursor_marks (stream, created_ns, epoch, last_seq, last_stored_ns, marked_at)
    SELECT stream, created_ns, epoch, last_seq, last_stored_ns, now() - interval '1 hour' FROM stream_cursors WHERE stream = 'APP_EVENTS'";

/// A user with 120 plays of which 20 are retracted, and 15 later plays; the first 59 plays are no longer in the stream.
async fn up_and_down() -> World {
    let world = World::start().await;
    world.played("ann", 120).await;
    world.retracted("ann", 0..20).await;
    world.publish(&plays("more", "pl_ann", 0..15)).await;
    world.settled().await;
    world.trim_before(61).await;
    // As after some minutes: the fold notes its position once a minute.
    world.run_sql(MARK).await;
    world
}

#[tokio::test]
async fn a_user_crosses_up_and_down_in_a_trimmed_history() {
    let world = up_and_down().await;
    let simulation = simulated(&world, &proposed(110, 105), &[]).await;
    let expected = counted(&world, 59, &[105, 110]).await;
    let ups: Vec<_> = expected.iter().map(|(id, .., up)| (id.as_str(), *up)).collect();
    let known = [
        ("ann-104", true),
        ("ann-109", true),
        ("r-ann-10", false),
        ("r-ann-15", false),
        ("more-4", true),
        ("more-9", true),
    ];
    assert_eq!(ups, known, "the test counts right");
    let users = simulation["users"].as_array().expect("users");
    assert_eq!(users.len(), 1, "{simulation}");
    assert_eq!(users[0]["user_id"], user("ann"));
    assert_eq!(crossings(&users[0]), expected);
    assert_eq!(simulation["history"]["first_seq"], 61);
    assert!(says(&simulation, "Crossings before "), "{simulation}");
}

#[tokio::test]
async fn changes_flaps_and_calls_follow_from_the_crossings() {
    let world = up_and_down().await;
    let simulation = simulated(&world, &proposed(110, 105), &["--auth0-plan", "2:2"]).await;
    let changes = simulation["users"][0]["changes"]
        .as_array()
        .expect("changes")
        .iter();
    let changes: Vec<Value> = changes
        .map(|one| json!([one["event_id"], one["granted"]]))
        .collect();
    let expected = [
        json!(["ann-109", true]),
        json!(["r-ann-15", false]),
        json!(["more-9", true]),
    ];
    assert_eq!(changes, expected);
    assert_eq!(simulation["users"][0]["flaps"], 2);
    assert_eq!(
        (&simulation["grants"], &simulation["revokes"]),
        (&json!(2), &json!(1))
    );
    let work = &simulation["work"];
    assert_eq!((&work["changes"], &work["calls"]), (&json!(3), &json!(6)));
    // Two calls a second, without the share of other clients.
    let reserve = work["reserve"].as_f64().expect("a share");
    let seconds = work["seconds"].as_f64().expect("a time");
    assert!((seconds - 3.0 / (1.0 - reserve)).abs() < 1e-9, "{work}");
    assert_eq!(simulation["busiest"]["changes"], 3);
}

#[tokio::test]
async fn the_text_has_a_summary_and_a_table() {
    let world = up_and_down().await;
    let path = proposed_path(110);
    let said = world.told(&["simulate", "--rules", &path.1]).await;
    for part in [
        "Users who would have crossed a threshold: 1 (2 times up, 1 down)\n",
        "Roles granted: 2, revoked: 1; 2 of these changes take back the one before (flapping)\n",
        "\nauth0|ann  ",
        "  up, best playlist      110  ann-109 ",
        "\nNot known from the kept events:\n  Crossings before ",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

/// A rules file with one threshold, and its path.
fn proposed_path(threshold: i64) -> (crate::world::rules::RulesFile, String) {
    let file = proposed(threshold, threshold);
    let path = file.path().display().to_string();
    (file, path)
}
