//! F44: bytes that the client library cannot parse: a Latin-1 header, a subject that is not UTF-8, a Unicode space or NUL in a subject:
//! one dead letter each; webhook, data API and the other fold notice nothing.

use crate::world::events::{Sent, play, plays, saved};
use crate::world::{LOG_TOKEN, World, size};

/// (Subject, headers, reason of the dead letter; none for a play that counts.) The stream's transform gives every
/// subject a partition, so an odd one is readable when it arrives, and usually in another partition than the
/// playlist's.
const POISONS: [(&[u8], &[u8], Option<&str>); 5] = [
    (b"plays.pl_1", b"X-Name: caf\xe9\r\n", Some("unparsable")),
    (b"plays.pl_\xff", b"A: b\r\n", Some("subject_mismatch")),
    (
        "plays.pl_1\u{3000}x".as_bytes(),
        b"A: b\r\n",
        Some("subject_mismatch"),
    ),
    (b"plays.pl_1\0x", b"A: b\r\n", NUL_IN_SUBJECT),
    // A line without a colon: the library closes the connection, although the play itself is valid.
    (b"plays.pl_1", b"no colon\r\n", None),
];
/// nats-server assigns it to the same partition as the playlist's.
const NUL_IN_SUBJECT: Option<&str> = None;

async fn publish(world: &World, name: &str, number: usize) -> u64 {
    let (subject, headers, reason) = POISONS[number];
    let id = format!("{name}-poison-{number}");
    let sent = Sent {
        poison: reason,
        ..play(&id, "pl_1")
    };
    world.publish_raw(subject, headers, sent).await
}

/// A worker with only ann's playlist.
async fn ann() -> World {
    let world = World::start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world
}

#[tokio::test]
async fn f44_what_cannot_be_parsed_is_one_dead_letter_each() {
    let world = ann().await;
    let worker = world.worker();
    for number in 0..POISONS.len() {
        let plays = plays(&format!("a{number}"), "pl_1", 0..size(1_000, 10_000));
        world.publish(&plays).await;
        publish(&world, "first", number).await;
        publish(&world, "second", number).await;
        assert_eq!(worker.post_logs(LOG_TOKEN, "{\"type\":\"s\"}").await, Some(200));
    }
    world.publish(&plays("end", "pl_1", 0..10)).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    assert!(worker.is_ready().await);
    let other = "rolekeeper_reader_restarts_total{stream=\"AUTH0_LOGS\"}";
    assert_eq!(worker.count(other).await, Some(0));
    let kept = world
        .rows("SELECT detail FROM dead_letters WHERE reason = 'unparsable' ORDER BY stream_seq")
        .await;
    assert_eq!(
        kept[0]["detail"],
        "headers: not UTF-8: \\\"X-Name: caf\\\\xe9\\\""
    );
}

/// Each ends a reader; the worker takes the following ones one by one, so a flood of them passes quickly.
#[tokio::test]
async fn many_malformed_headers_end_few_readers() {
    let world = World::builder().workers(0).start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    let malformed: [&[u8]; 3] = [b"no colon\r\n", b"A b: c\r\n", b"A: b\nC\r\n"];
    for n in 0..120 {
        let sent = play(&format!("m{n}"), "pl_1");
        world.publish_raw(b"plays.pl_1", malformed[n % 3], sent).await;
    }
    let worker = world.start_worker().await;
    world.settled().await;
    let restarts = worker
        .count("rolekeeper_reader_restarts_total{stream=\"APP_EVENTS\"}")
        .await;
    assert!(restarts <= Some(20), "{restarts:?} readers ended");
}

#[tokio::test]
async fn f44_a_poison_may_be_the_end_of_the_stream_at_a_restart() {
    let world = ann().await;
    let cursor = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
    for number in 0..POISONS.len() {
        let seq = publish(&world, "last", number).await;
        world
            .eventually("it is past the poison", async || {
                world.number(cursor).await == Some(seq.cast_signed())
            })
            .await;
        // Not a regular stop: the next start has the message at the cursor to compare with.
        world.worker().kill9().await;
        world.spawn_worker_with(&[]);
    }
    world.publish(&plays("end", "pl_1", 0..100)).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
}
