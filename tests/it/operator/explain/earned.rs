//! Users who reach the threshold, and users who do not.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{counted, explained, said};
use crate::world::events::{deleted, plays, saved};
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{APP_EVENTS, World, user};

/// The time at which the stream stored the event with this id, in microseconds as Postgres has it.
async fn stored_at(world: &World, event: &str) -> String {
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    for seq in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(seq).await.expect("a message");
        let payload: Value = serde_json::from_slice(&message.payload).expect("JSON");
        if payload["event_id"] == event {
            let micros = message.time.nanosecond() / 1_000 * 1_000;
            let at = message.time.replace_nanosecond(micros).expect("a time");
            return at.format(&Rfc3339).expect("a date");
        }
    }
    panic!("{event} is not stored")
}

#[tokio::test]
async fn the_event_that_earned_a_role_is_named() {
    let world = World::start().await;
    world.played("ann", 120).await;
    world.settled().await;
    let ann = explained(&world, &user("ann")).await;
    let role = &ann["roles"][0];
    assert_eq!(role["plays"], counted(&world, &[&user("ann")]));
    let held = [
        &role["role"],
        &role["holds"],
        &role["should_hold"],
        &role["pending"],
    ];
    assert_eq!(json!(held), json!([ROLE, true, true, null]));
    // The 100th play.
    assert_eq!(role["crossing"]["event_id"], "ann-99");
    assert_eq!(role["crossing"]["stored_at"], stored_at(&world, "ann-99").await);
    let (row, write) = (&ann["decisions"]["rows"][0], &ann["writes"]["rows"][0]);
    assert_eq!(
        json!([row["change"], row["outcome"], row["event_id"]]),
        json!(["granted", "written", "ann-99"])
    );
    assert_eq!(row["write_id"], write["write_id"]);
    assert_eq!(write["wrote_roles"], json!(world.roles(&user("ann"))));
    assert_eq!(
        json!([ann["decisions"]["more"], ann["queue"]]),
        json!([false, []])
    );

    let text = world.told(&["explain", &user("ann")]).await;
    for part in [
        "playlist_editor  yes    yes            120         100            100  rule\n",
        "  The most played playlist, pl_ann, has 120 plays; the rule grants the role at 100 and revokes it below 100.\n",
        "event ann-99, which the stream stored at ",
        "All roles in it then: mentor, playlist_editor\n",
        "The position of an event in its stream is not stored",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[tokio::test]
async fn a_user_below_the_threshold_lacks_plays() {
    let world = World::start().await;
    world.played("bob", 7).await;
    let again = [saved("s2", "pl_old", &user("bob"))];
    world
        .publish(
            &[
                &again[..],
                &plays("old", "pl_old", 0..90),
                &[deleted("d", "pl_old")],
            ]
            .concat(),
        )
        .await;
    world.settled().await;
    let bob = explained(&world, &user("bob")).await;
    let role = &bob["roles"][0];
    assert_eq!(role["plays"], counted(&world, &[&user("bob")]));
    let held = [
        &role["holds"],
        &role["should_hold"],
        &role["pending"],
        &role["crossing"],
        &role["last_change"],
    ];
    assert_eq!(json!(held), json!([null, false, null, null, null]));
    assert!(said(&role["why"]).contains("The count lacks 93 plays"), "{role}");
    assert_eq!(
        json!([bob["playlists"]["count"], bob["playlists"]["deleted"]]),
        json!([1, 1])
    );
    assert_eq!(
        json!([bob["account"], bob["decisions"]["rows"], bob["writes"]["rows"]]),
        json!([null, [], []])
    );
    let missing = said(&bob["not_known"]);
    assert!(
        missing.contains("Auth0 has not yet returned this user to rolekeeper."),
        "{missing}"
    );
    assert!(said(&bob["waits"]).contains("not in the work queue"), "{bob}");
}

#[tokio::test]
async fn a_role_that_grace_keeps_has_its_end() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "grace = \"1h\""));
    let world = World::builder()
        .env("RULES_FILE", file.path().display())
        .start()
        .await;
    world.played("ann", 100).await;
    world.settled().await;
    world.retracted("ann", 0..30).await;
    let fell = world.fell("ann").await;
    world
        .eventually("she waits for the end", async || {
            let ann = explained(&world, &user("ann")).await;
            said(&ann["waits"]).contains("is decided again at ")
        })
        .await;
    let ann = explained(&world, &user("ann")).await;
    let role = &ann["roles"][0];
    assert_eq!(
        json!([role["plays"], role["should_hold"], role["pending"]]),
        json!([70, true, null])
    );
    let ends = (fell + time::Duration::HOUR).format(&Rfc3339).expect("a date");
    assert_eq!(role["changes_at"], ends);
    assert_eq!(ann["queue"][0]["due_at"], ends);
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
    let limited = ["explain", &user("ann"), "--limit", "1"];
    let text = world.told(&limited).await;
    assert_eq!(
        text.matches("The newest 1 are shown; --limit shows more.")
            .count(),
        2,
        "{text}"
    );
    let json: Value =
        serde_json::from_str(&world.told(&[&limited[..], &["--json"]].concat()).await).expect("JSON");
    assert_eq!(json["decisions"]["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["decisions"]["rows"][0]["change"], "revoked");
    assert_eq!(json["roles"][0]["crossing"]["event_id"], "r-ann-0");
    let all = explained(&world, &user("ann")).await;
    let changes = all["decisions"]["rows"].as_array().expect("rows").iter();
    let changes: Vec<&Value> = changes.map(|row| &row["change"]).collect();
    assert_eq!(changes, ["revoked", "granted"]);
}
