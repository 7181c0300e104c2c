//! Events repeated after the stream's own duplicate window: counted twice, or once with a dedup window.
//!
//! Here each copy has a message id of its own, so that the bus accepts it, as it does after the window.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::world::events::{Sent, deleted, play, plays, saved};
use crate::world::{World, poll};

const PLAYS: &str = "SELECT plays FROM playlists WHERE playlist_id = 'pl_1'";
const FOLDED: &str = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
const REUSED: &str = "SELECT total FROM dead_letter_totals WHERE reason = 'id_reused'";
const DROPPED: &str = "rolekeeper_duplicates_dropped_total";

async fn world(dedup_window: &str) -> World {
    let world = World::builder()
        .env("ONLY", "fold")
        .env("DEDUP_WINDOW", dedup_window);
    world.env("FOLD_BATCH", 50).start().await
}

/// The same event again, under another message id.
fn again(event: &Sent, turn: u32) -> Sent {
    Sent {
        id: format!("{}-copy-{turn}", event.id),
        ..event.clone()
    }
}

#[tokio::test]
async fn without_dedup_a_copy_behind_the_window_counts_again() {
    let world = world("off").await;
    let event = play("one", "pl_1");
    world.publish(&[event.clone(), again(&event, 1)]).await;
    let twice = async || world.number(PLAYS).await == Some(2);
    world.eventually("both count", twice).await;
    assert_eq!(
        world.number("SELECT count(*) FROM event_id_partitions").await,
        Some(0)
    );
}

/// F1: the same event 1 to 1,000 times, also across a restart: it counts once inside the dedup window.
#[tokio::test]
async fn f01_copies_count_once_across_batches_and_kills() {
    let world = world("1h").await;
    let mut reference: BTreeMap<String, i64> = BTreeMap::new();
    let mut sent = 0;
    for round in 0..6 {
        let mut events = Vec::new();
        for playlist in ["pl_1", "pl_2"] {
            let fresh = plays(&format!("{playlist}-{round}"), playlist, 0..60);
            *reference.entry(playlist.to_owned()).or_default() += 60;
            events.extend(fresh.iter().map(|event| again(event, 1)));
            events.extend(fresh);
            let before = plays(&format!("{playlist}-{}", u32::max(round, 1) - 1), playlist, 0..60);
            events.extend(before.iter().map(|event| again(event, 2 + round)));
        }
        sent += events.len();
        tokio::join!(world.publish(&events), async {
            world.worker().kill9().await;
            world.start_worker().await;
        });
    }
    let sent = i64::try_from(sent).ok();
    world
        .eventually("all is folded", async || world.number(FOLDED).await == sent)
        .await;
    let counted = world.rows("SELECT playlist_id, plays FROM playlists").await;
    let counted: BTreeMap<String, i64> = counted
        .iter()
        .filter_map(|row| Some((row["playlist_id"].as_str()?.to_owned(), row["plays"].as_i64()?)))
        .collect();
    assert_eq!(counted, reference);
    assert_eq!(world.number("SELECT count(*) FROM event_ids").await, Some(720));
    assert_eq!(world.number(REUSED).await, None);
}

/// F2: another payload under the id of an event, inside the dedup window: the first payload counts; the second is
/// dropped by the bus or kept as a conflict, and never counts. Here it is kept.
#[tokio::test]
async fn f02_another_event_under_a_known_id_is_kept_for_a_person() {
    let world = world("1h").await;
    let first = play("one", "pl_1");
    let other = again(&play("one", "pl_2"), 1);
    world
        .publish(&[
            saved("s", "pl_1", "auth0|ann"),
            first.clone(),
            other.clone(),
            again(&first, 2),
            deleted("d", "pl_3"),
            saved("s3", "pl_3", "auth0|ann"),
        ])
        .await;
    let folded = async || world.number(FOLDED).await == Some(6);
    world.eventually("all is folded", folded).await;
    // The same in a later batch, and an old deletion that must not take effect again.
    world
        .publish(&[
            again(&other, 3),
            again(&deleted("d", "pl_3"), 4),
            play("end", "pl_1"),
        ])
        .await;
    let folded = async || world.number(FOLDED).await == Some(9);
    world.eventually("all is folded", folded).await;
    assert_eq!(world.number(PLAYS).await, Some(2));
    let other = "SELECT count(*) FROM playlists WHERE playlist_id = 'pl_2' OR deleted";
    assert_eq!(world.number(other).await, Some(0));
    assert_eq!(world.number(REUSED).await, Some(2));
    let kept = world.rows("SELECT subject, detail FROM dead_letters").await;
    assert_eq!(kept[0]["subject"], "plays.32");
    let detail = kept[0]["detail"].as_str().expect("a detail");
    assert!(detail.contains("event_id") && detail.contains("one"), "{detail}");
    let dropped = async || world.worker().count(DROPPED).await == Some(2);
    world.eventually("repeats are counted", dropped).await;
}

#[tokio::test]
async fn old_partitions_are_dropped_and_their_ids_forgotten() {
    let world = world("4s").await;
    let event = play("old", "pl_1");
    world.publish(std::slice::from_ref(&event)).await;
    let mut turn = 0;
    let known = "SELECT count(*) FROM event_ids WHERE event_id = 'old'";
    world
        .eventually("it is kept", async || world.number(known).await == Some(1))
        .await;
    let forgotten = poll(Duration::from_secs(30), async || {
        turn += 1;
        world.publish(&[play(&format!("later-{turn}"), "pl_2")]).await;
        (world.number(known).await == Some(0)).then_some(())
    });
    assert!(forgotten.await.is_some(), "the first partition still exists");
    let tables = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'event_ids'::regclass";
    assert!(world.number(tables).await.is_some_and(|count| count <= 7));
    world.publish(&[again(&event, 1)]).await;
    world
        .eventually("a copy after the dedup window counts", async || {
            world.number(PLAYS).await == Some(2)
        })
        .await;
}
