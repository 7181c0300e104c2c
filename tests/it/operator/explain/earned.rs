//! Users who reach the threshold, and users who do not.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{assert_says, counted, explained, picked};
use crate::world::events::{deleted, plays, saved};
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{APP_EVENTS, World, user};

/// The sequence of the event with this id in the stream, and the time at which it was stored, in microseconds as Postgres has it.
async fn stored(world: &World, event: &str) -> (u64, String) {
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    for seq in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(seq).await.expect("a message");
        let payload: Value = serde_json::from_slice(&message.payload).expect("JSON");
        if payload["event_id"] == event {
            let micros = message.time.nanosecond() / 1_000 * 1_000;
            let at = message.time.replace_nanosecond(micros).expect("a time");
            return (seq, at.format(&Rfc3339).expect("a date"));
        }
    }
    panic!("{event} is not stored")
}

/// A user with 120 plays, who holds the role.
async fn with_ann() -> World {
    let world = World::start().await;
    world.played("ann", 120).await;
    world.settled().await;
    world
}

#[tokio::test]
async fn the_event_that_earned_a_role_is_named() {
    let world = with_ann().await;
    let ann = explained(&world, &user("ann")).await;
    let role = &ann["roles"][0];
    assert_eq!(role["plays"], counted(&world, &[&user("ann")]));
    let held = picked(role, ["role", "holds", "should_hold", "pending"]);
    assert_eq!(held, json!([ROLE, true, true, null]));
    // The 100th play.
    assert_eq!(role["crossing"]["event_id"], "ann-99");
    let (seq, at) = stored(&world, "ann-99").await;
    let crossing = picked(&role["crossing"], ["stream_seq", "stored_at"]);
    assert_eq!(crossing, json!([seq, at]));
    assert_says(&role["why"], &[&format!(" as message {seq}, moved the user")]);
    let (row, write) = (&ann["decisions"]["rows"][0], &ann["writes"]["rows"][0]);
    let decided = picked(row, ["change", "outcome", "event_id"]);
    assert_eq!(decided, json!(["granted", "written", "ann-99"]));
    assert_eq!(row["write_id"], write["write_id"]);
    assert_eq!(write["wrote_roles"], json!(world.roles(&user("ann"))));
    assert_eq!(ann["decisions"]["more"], false);
    assert_eq!(ann["queue"], json!([]));
}

#[tokio::test]
async fn the_human_form_has_sentences_and_tables() {
    let world = with_ann().await;
    let text = world.told(&["explain", &user("ann")]).await;
    for part in [
        "  playlist_editor  yes    yes            120         100            100  rule\n",
        "  The most played playlist, pl_ann, has 120 plays; the rule grants the role at 100 and revokes it below 100.\n",
        "event ann-99, which the stream stored at ",
        "All roles in it then: mentor, playlist_editor\n",
        "Events after message ",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[tokio::test]
async fn a_user_below_the_threshold_lacks_plays() {
    let world = World::start().await;
    world.played("bob", 7).await;
    world.publish(&[saved("s2", "pl_old", &user("bob"))]).await;
    world.publish(&plays("old", "pl_old", 0..90)).await;
    world.publish(&[deleted("d", "pl_old")]).await;
    world.settled().await;
    let bob = explained(&world, &user("bob")).await;
    let role = &bob["roles"][0];
    assert_eq!(role["plays"], counted(&world, &[&user("bob")]));
    let held = picked(
        role,
        ["holds", "should_hold", "pending", "crossing", "last_change"],
    );
    assert_eq!(held, json!([null, false, null, null, null]));
    assert_says(&role["why"], &["The count lacks 93 plays"]);
    assert_eq!(picked(&bob["playlists"], ["count", "deleted"]), json!([1, 1]));
    assert_eq!(bob["account"], Value::Null);
    for past in ["decisions", "writes"] {
        assert_eq!(bob[past]["rows"], json!([]), "{past}");
    }
    assert_says(
        &bob["not_known"],
        &["Auth0 has not yet returned this user to rolekeeper."],
    );
    assert_says(&bob["waits"], &["not in the work queue"]);
}

#[tokio::test]
async fn a_role_that_grace_keeps_has_its_end() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "grace = \"1h\""));
    let builder = World::builder().env("RULES_FILE", file.path().display());
    let world = builder.start().await;
    world.played("ann", 100).await;
    world.settled().await;
    world.retracted("ann", 0..30).await;
    let fell = world.fell("ann").await;
    let timer = "SELECT count(*) FROM work_queue WHERE enqueued_at > now() AND lease IS NULL";
    world.count_is("she waits for the end", timer, 1).await;
    let ann = explained(&world, &user("ann")).await;
    let role = &ann["roles"][0];
    let kept = picked(role, ["plays", "should_hold", "pending"]);
    assert_eq!(kept, json!([70, true, null]));
    let ends = (fell + time::Duration::HOUR).format(&Rfc3339).expect("a date");
    assert_eq!(role["changes_at"], ends);
    assert_eq!(ann["queue"][0]["due_at"], ends);
    assert_says(&ann["waits"], &["is decided again at "]);
    assert_eq!(ann["rules"]["version"], 1);
}

#[tokio::test]
async fn only_the_newest_decisions_are_shown() {
    let world = World::start().await;
    world.played("ann", 100).await;
    world.settled().await;
    world.retracted("ann", 0..1).await;
    world.gone("ann").await;
    world.settled().await;
    let limited = world.told(&["explain", &user("ann"), "--limit", "1"]).await;
    let more = "The newest 1 are shown; --limit shows more.";
    assert_eq!(limited.matches(more).count(), 2, "{limited}");
    assert!(
        limited.contains("revoked") && !limited.contains("granted  "),
        "{limited}"
    );
    let all = explained(&world, &user("ann")).await;
    assert_eq!(all["roles"][0]["crossing"]["event_id"], "r-ann-0");
    let rows = all["decisions"]["rows"].as_array().expect("rows").iter();
    let changes: Vec<&Value> = rows.map(|row| &row["change"]).collect();
    assert_eq!(changes, ["revoked", "granted"]);
}
