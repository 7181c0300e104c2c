//! F25: bad UTF-8, NUL in an id, lone surrogates, a body of 1 MiB, JSON 10,000 levels deep, wrong types, repeated keys, an unknown type,
//! ids of 10 kB: dead letters; the rest continues. Each letter has the name of the field.

use serde_json::json;

use crate::world::World;
use crate::world::events::{Sent, play, plays, poison, saved};

/// Bytes of the largest body that nats-server takes beside headers: 1 MiB in all.
const LARGEST: usize = (1 << 20) - 200;

/// (Field that the dead letter must name, message).
fn poisons() -> Vec<(&'static str, Sent)> {
    let good = || play("x", "pl_p");
    let raw = |bytes: &[u8], reason| poison("x", "pl_p", bytes, reason);
    let text = |json: &str, reason| poison("x", "pl_p", json, reason);
    let deep = |levels| "[".repeat(levels) + &"]".repeat(levels);
    let twice = String::from_utf8(good().payload)
        .unwrap()
        .replace('}', ",\"song_id\":\"s_8\"}");
    let cut = String::from_utf8(good().with("event_id", "CUT").payload)
        .unwrap()
        .replace("CUT", "\\ud800");
    let mut many = vec![
        ("payload", raw(b"{\"type\":\"play\xff\"}", "not_utf8")),
        ("payload", raw(b"", "not_json")),
        ("payload", raw(b"\0", "not_json")),
        ("payload", text("not json", "not_json")),
        ("payload", text("{\"type\":\"play\"", "not_json")),
        ("payload", text("[1,2]", "wrong_type")),
        ("payload", text("null", "wrong_type")),
        ("payload", text(&"[".repeat(10_000), "not_json")),
        ("payload", text(&" ".repeat(LARGEST), "oversized")),
        ("payload", text(&deep(10_000), "oversized")),
        ("event_id", text(&cut, "bad_value")),
        (
            "listener_id",
            text(
                &format!("{{\"type\":\"play\",\"extra\":{}}}", deep(5_000)),
                "missing_field",
            ),
        ),
        ("payload", text(&twice, "duplicate_field")),
        ("event_id", good().with("event_id", "a\0b").poisoned("bad_value")),
        (
            "event_id",
            good().with("event_id", "i".repeat(10_000)).poisoned("bad_value"),
        ),
        ("event_id", good().with("event_id", "").poisoned("bad_value")),
        (
            "listener_id",
            good().with("listener_id", "l\u{7f}").poisoned("bad_value"),
        ),
        (
            "listener_id",
            good().with("listener_id", "l".repeat(256)).poisoned("bad_value"),
        ),
        ("song_id", good().with("song_id", 7).poisoned("wrong_type")),
        (
            "playlist_id",
            good().with("playlist_id", json!(["pl_p"])).poisoned("wrong_type"),
        ),
        (
            "song_id",
            good().with("song_id", json!(null)).poisoned("missing_field"),
        ),
        ("type", good().with("type", "play_twice").poisoned("unknown_type")),
        (
            "playlist_id",
            good()
                .with("playlist_id", "pl_other")
                .poisoned("subject_mismatch"),
        ),
        (
            "type",
            good()
                .with("type", "playlist_deleted")
                .poisoned("subject_mismatch"),
        ),
        (
            "retracts",
            good().with("type", "play_retracted").poisoned("missing_field"),
        ),
        ("owner_id", saved("x", "pl_p", "").poisoned("bad_value")),
        (
            "name",
            saved("x", "pl_p", "auth0|ann")
                .with("name", "n".repeat(257))
                .poisoned("bad_value"),
        ),
        (
            "name",
            saved("x", "pl_p", "auth0|ann")
                .with("name", "a\0b")
                .poisoned("bad_value"),
        ),
    ];
    for (number, (_, message)) in many.iter_mut().enumerate() {
        message.id = format!("poison-{number}");
    }
    many
}

#[tokio::test]
async fn f25_poison_becomes_dead_letters_and_the_rest_goes_on() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    for (number, (_, poison)) in (0u32..).zip(poisons()) {
        world
            .publish(&plays("good", "pl_1", number * 4..number * 4 + 4))
            .await;
        world.publish(&[poison]).await;
    }
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    let kept = world
        .rows("SELECT detail, size_bytes, length(payload) AS kept FROM dead_letters ORDER BY stream_seq")
        .await;
    for ((field, message), row) in poisons().iter().zip(&kept) {
        let detail = row["detail"].as_str().unwrap_or_default();
        assert!(
            detail.starts_with(&format!("{field}: ")),
            "expected {field}, got {row}"
        );
        let size = message.payload.len();
        assert_eq!(
            (&row["size_bytes"], &row["kept"]),
            (&json!(size), &json!(size.min(4096)))
        );
    }
    let counted = "rolekeeper_dead_letters_total{reason=\"not_utf8\",stream=\"APP_EVENTS\"}";
    assert_eq!(world.worker().count(counted).await, Some(1));
}

#[tokio::test]
async fn f25_a_flood_of_poison_is_counted_and_kept_up_to_the_cap() {
    let world = World::start().await;
    let flood: Vec<_> = (0..1_500)
        .map(|n| poison(&format!("p{n}"), "pl_1", "{", "not_json"))
        .collect();
    world.publish(&flood).await;
    world.publish(&[play("good", "pl_1")]).await;
    // The oracle expects all 1,500 in the totals.
    world.settled().await;
    let kept = world.number("SELECT count(*) FROM dead_letters").await;
    let hours = world.number("SELECT count(*) FROM dead_letter_totals").await;
    assert!(
        hours == Some(2) || kept == Some(1_000),
        "{kept:?} kept in {hours:?} hours"
    );
}
