//! F59: Postgres restored from a backup; ROLE_CHANGES restored or made again: reported by an error in the log and a metric; roles granted
//! since the backup are adopted; each missing announcement is reported. The command `announce` sends lost changes again.

use std::time::{Duration, Instant};

use crate::world::World;
use crate::world::events::{plays, saved};

const STREAM: &str = "ROLE_CHANGES";
/// The shortest duplicate window that nats-server accepts.
const WINDOW: Duration = Duration::from_millis(100);
const LOST: &str = "rolekeeper_role_changes_lost";

async fn earns(world: &World, n: u32) {
    let (user, playlist) = (format!("auth0|u{n}"), format!("pl_{n}"));
    world.seed_user(&user, &[]);
    world.publish(&[saved(&format!("s{n}"), &playlist, &user)]).await;
    world.publish(&plays(&format!("p{n}"), &playlist, 0..100)).await;
    let told = "SELECT count(DISTINCT user_id) FROM role_changes WHERE announced_at IS NOT NULL";
    world
        .eventually("it is announced", async || {
            world.number(told).await == Some(n.into())
        })
        .await;
}

/// Message ids of the stream, in order.
async fn ids(world: &World) -> Vec<String> {
    let stream = world.jetstream.get_stream(STREAM).await.expect("the stream");
    let mut ids = Vec::new();
    for seq in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(seq).await.expect("a message");
        ids.push(message.headers.get("Nats-Msg-Id").expect("an id").to_string());
    }
    ids
}

/// Deletes ROLE_CHANGES and makes it again, empty.
async fn make_again(world: &World) {
    let mut stream = world.jetstream.get_stream(STREAM).await.expect("the stream");
    let mut config = stream.info().await.expect("its info").config.clone();
    // Changes that are sent again arrive within the usual window here.
    config.duplicate_window = WINDOW;
    world.jetstream.delete_stream(STREAM).await.expect("deleted");
    world.jetstream.create_stream(config).await.expect("made again");
}

/// A world with three announced changes, whose stream was made again before the fourth.
async fn made_again() -> (World, Vec<String>) {
    let world = World::start().await;
    for n in 1..=3 {
        earns(&world, n).await;
    }
    let before = ids(&world).await;
    assert_eq!(before.len(), 3);
    let worker = world.worker();
    assert_eq!(worker.count(LOST).await, Some(0));
    make_again(&world).await;
    earns(&world, 4).await;
    let shown = async || worker.count(LOST).await == Some(1);
    world.eventually("the metric shows it", shown).await;
    (world, before)
}

#[tokio::test]
async fn f59_a_stream_that_was_made_again_is_reported() {
    let (world, _) = made_again().await;
    let tells = |line: &String| line.contains("recreated") && line.contains("rolekeeper announce");
    assert!(world.worker().messages().iter().any(tells));
    assert_eq!(
        ids(&world).await.len(),
        1,
        "what is new is announced all the same"
    );
}

#[tokio::test]
async fn f59_a_stream_that_was_made_again_is_filled_again() {
    let (world, before) = made_again().await;
    let after = ids(&world).await;
    let seen = Instant::now();
    let over = async || seen.elapsed() > 10 * WINDOW;
    world.eventually("the duplicate window is over", over).await;
    let said = world.told(&["announce", "--from", "start"]).await;
    assert!(said.contains("4 changes"), "{said}");
    let expected = [&after[..], &before[..], &after[..]].concat();
    let sent = async || ids(&world).await == expected;
    world.eventually("all is sent again", sent).await;
    earns(&world, 5).await;
    assert_eq!(world.number("SELECT count(*) FROM announce_again").await, Some(0));
    // A worker checks the end of the stream at its start, and finds it in order.
    world.worker().kill9().await;
    let worker = world.start_worker().await;
    earns(&world, 6).await;
    assert_eq!(worker.count(LOST).await, Some(0));
}

/// JetStream drops a message id as a duplicate for a while, also after it lost the message to a purge.
#[tokio::test]
async fn what_was_purged_is_sent_again_after_the_window() {
    let world = World::start().await;
    for n in 1..=2 {
        earns(&world, n).await;
    }
    world.set_duplicate_window(STREAM, Duration::from_secs(3)).await;
    let stream = world.jetstream.get_stream(STREAM).await.expect("the stream");
    stream.purge().await.expect("purged");
    let said = world.told(&["announce", "--from", "start"]).await;
    assert!(said.contains("2 changes"), "{said}");
    let held = async || {
        let stream = world.jetstream.get_stream(STREAM).await.expect("the stream");
        stream.cached_info().state.messages == 2
    };
    world.eventually("the stream holds both again", held).await;
    world
        .count_is("all is sent", "SELECT count(*) FROM announce_again", 0)
        .await;
}
