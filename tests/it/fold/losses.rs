//! F8: every kind of lost events stops the fold, is reported, and holds revokes until it is accepted.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, SubjectTransform};
use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};

use crate::world::events::{Sent, play, plays, poison, retraction, saved};
use crate::world::{APP_EVENTS, World, text};

const LOSS: &str = "rolekeeper_stream_loss{stream=\"APP_EVENTS\"}";

/// A stream as `migrate` creates it, except that it can be purged and messages can be deleted.
fn unguarded(max_messages: i64, discard: DiscardPolicy) -> Config {
    Config {
        name: APP_EVENTS.into(),
        subjects: vec!["plays.*".into(), "playlists.*".into()],
        subject_transform: Some(SubjectTransform {
            source: "*.*".into(),
            destination: "{{wildcard(1)}}.{{partition(64,2)}}".into(),
        }),
        max_messages,
        discard,
        duplicate_window: Duration::from_mins(10),
        ..Config::default()
    }
}

/// A world whose stream has no guards, with ann, who holds the role for 100 plays and is about to lose it: her revoke
/// is due, but the tenant does not respond.
async fn ann_is_about_to_lose_the_role() -> World {
    let world = World::builder().workers(0).env("FOLD_BATCH", 10).start().await;
    world.jetstream.delete_stream(APP_EVENTS).await.unwrap();
    world
        .jetstream
        .create_stream(unguarded(-1, DiscardPolicy::New))
        .await
        .unwrap();
    world.seed_user("auth0|ann", &["mentor"]);
    world.start_worker().await;
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.settled().await;
    world
        .tenant
        .hold_fault(CallMatch::to(Endpoint::ReadUser), Fault::status(503));
    world
        .publish(&[
            retraction("r1", "a-0", "pl_1"),
            poison("p1", "pl_1", "{", "not_json"),
        ])
        .await;
    let tried = "SELECT count(*) FROM nominations WHERE attempts > 0";
    world
        .eventually("the revoke was tried", async || {
            world.number(tried).await == Some(1)
        })
        .await;
    world
        .eventually("all is folded", async || cursor(&world).await == 103)
        .await;
    world
}

/// In this order, so that no user stays in flight.
async fn stop(world: &World) {
    let status = world.worker().sigterm(Duration::from_secs(20)).await;
    assert!(status.success(), "{status}");
}

async fn cursor(world: &World) -> u64 {
    let seq = world
        .number("SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'")
        .await;
    seq.unwrap_or_default().unsigned_abs()
}

/// The loss is open and reported, and ann keeps the role; after the acceptance the fold continues at `next` and ann
/// loses it.
async fn is_held_until_accepted(world: &World, kind: &str, next: u64) {
    let worker = world.worker();
    world
        .eventually("the loss is seen", async || worker.count(LOSS).await == Some(1))
        .await;
    let told = format!("{APP_EVENTS} {kind}: ");
    let command = "rolekeeper accept-stream APP_EVENTS";
    let tells = |line: &String| line.contains(&told) && line.contains(command);
    world
        .eventually("the log reports it", async || worker.messages().iter().any(tells))
        .await;
    let (status, why) = worker.get("/readyz/fold_app_events").await.unwrap();
    assert!(
        status == 503 && why.contains(&told) && why.contains(command),
        "{status} {why}"
    );

    world.tenant.clear_faults();
    let held = "SELECT count(*) FROM nominations WHERE held = 'stream_loss'";
    world
        .eventually("the revoke is held", async || world.number(held).await == Some(1))
        .await;
    world.publish(&[play("while-stopped", "pl_9")]).await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", "playlist_editor"]);
    assert!(
        cursor(world).await < next || kind != "overtaken",
        "nothing is folded after a loss"
    );

    // An operator first stops the cause that removes events.
    if kind == "overtaken" {
        let unlimited = unguarded(-1, DiscardPolicy::New);
        world.jetstream.update_stream(unlimited).await.unwrap();
    }
    let accepted = world.command(&["accept-stream", APP_EVENTS]).await;
    let said = text(&accepted);
    assert!(accepted.status.success(), "{said}");
    assert!(
        said.contains(&told) && said.contains(&format!("the fold goes on at {next}, ")),
        "{said}"
    );
    world
        .eventually("no loss is open", async || worker.count(LOSS).await == Some(0))
        .await;
    world.publish(&plays("after", "pl_2", 0..20)).await;
    world.publish(&[poison("p2", "pl_1", "{", "not_json")]).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);

    let again = world.command(&["accept-stream", APP_EVENTS]).await;
    assert!(
        !again.status.success() && text(&again).contains("nothing to accept"),
        "{}",
        text(&again)
    );
}

#[tokio::test]
async fn a_stream_that_was_made_again() {
    let world = ann_is_about_to_lose_the_role().await;
    world.jetstream.delete_stream(APP_EVENTS).await.unwrap();
    let migrated = world.command(&["migrate"]).await;
    assert!(migrated.status.success(), "{}", text(&migrated));
    world.oracle().another_stream();
    // The new stream has a dead letter at the same place as the old one.
    world.publish(&plays("new", "pl_3", 0..102)).await;
    world.publish(&[poison("p1", "pl_3", "{", "not_json")]).await;
    is_held_until_accepted(&world, "recreated", 1).await;
}

#[tokio::test]
async fn a_stream_that_was_purged() {
    let world = ann_is_about_to_lose_the_role().await;
    stop(&world).await;
    world.publish(&plays("lost", "pl_1", 0..20)).await;
    world
        .jetstream
        .get_stream(APP_EVENTS)
        .await
        .unwrap()
        .purge()
        .await
        .unwrap();
    world.oracle().lost(104..124);
    world.spawn_worker_with(&[]);
    is_held_until_accepted(&world, "purged", 124).await;
}

#[tokio::test]
async fn retention_that_overtook_the_cursor_before_the_start() {
    let world = ann_is_about_to_lose_the_role().await;
    stop(&world).await;
    world.publish(&plays("lost", "pl_1", 0..20)).await;
    world.publish(&plays("kept", "pl_3", 0..10)).await;
    world
        .jetstream
        .update_stream(unguarded(10, DiscardPolicy::Old))
        .await
        .unwrap();
    // One more play comes while the fold is stopped, and retention removes one more.
    world.oracle().lost(104..125);
    world.spawn_worker_with(&[]);
    is_held_until_accepted(&world, "overtaken", 125).await;
}

#[tokio::test]
async fn retention_that_overtakes_a_worker_that_sleeps() {
    let world = ann_is_about_to_lose_the_role().await;
    world
        .jetstream
        .update_stream(unguarded(1_000, DiscardPolicy::Old))
        .await
        .unwrap();
    let worker = world.worker();
    worker.sigstop();
    // More than the reader has requested; requested messages are in flight and not lost.
    world.publish(&plays("lost", "pl_3", 0..3_000)).await;
    worker.sigcont();
    world
        .eventually("the loss is seen", async || worker.count(LOSS).await == Some(1))
        .await;
    let (reached, first) = (cursor(&world).await, 104 + 3_000 - 1_000);
    assert!((104..200).contains(&reached), "folded up to {reached}");
    world.oracle().lost(reached + 1..first);
    // One more play comes while the fold is stopped, and retention removes one more.
    world.oracle().lost([first]);
    is_held_until_accepted(&world, "overtaken", first + 1).await;
}

#[tokio::test]
async fn a_message_deleted_in_the_middle() {
    let world = ann_is_about_to_lose_the_role().await;
    stop(&world).await;
    world.publish(&plays("b", "pl_3", 0..20)).await;
    let stream = world.jetstream.get_stream(APP_EVENTS).await.unwrap();
    stream.delete_message(109).await.unwrap();
    world.oracle().lost([109]);
    let worker = world.spawn_worker_with(&[]);
    world
        .eventually("the loss is seen", async || worker.count(LOSS).await == Some(1))
        .await;
    assert_eq!(cursor(&world).await, 108);
    is_held_until_accepted(&world, "hole", 110).await;
}

#[tokio::test]
async fn a_store_restored_from_an_older_copy() {
    let world = ann_is_about_to_lose_the_role().await;
    restored(&world, &plays("folded", "pl_3", 0..30)).await;
    is_held_until_accepted(&world, "rewound", 104).await;
}

#[tokio::test]
async fn a_store_restored_from_an_older_copy_that_has_grown_past_the_cursor() {
    let world = ann_is_about_to_lose_the_role().await;
    restored(&world, &plays("folded", "pl_3", 0..30)).await;
    stop(&world).await;
    let loss = "DELETE FROM stream_losses";
    sqlx::query(loss).execute(&world.db).await.unwrap();
    world.publish(&plays("other", "pl_4", 0..50)).await;
    world.spawn_worker_with(&[]);
    // 30 of the new ones have sequences of folded ones; none of them was folded.
    is_held_until_accepted(&world, "replaced", 104).await;
}

/// Copies the store, lets `more` be folded, and restores the copy.
async fn restored(world: &World, more: &[Sent]) {
    let mut nats = world.nats.lock().await;
    let store = nats.store_dir().to_path_buf();
    let copy = store.with_extension("copy");
    nats.stop().await.unwrap();
    copy_folder(&store, &copy);
    nats.start_again().await.unwrap();
    let before = cursor(world).await;
    world.publish(more).await;
    world
        .eventually("more is folded", async || {
            cursor(world).await == before + more.len() as u64
        })
        .await;
    stop(world).await;
    nats.stop().await.unwrap();
    std::fs::remove_dir_all(&store).unwrap();
    copy_folder(&copy, &store);
    nats.start_again().await.unwrap();
    drop(nats);
    world.oracle().another_stream();
    let worker = world.spawn_worker_with(&[]);
    world
        .eventually("the loss is seen", async || worker.count(LOSS).await == Some(1))
        .await;
}

fn copy_folder(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

/// A loss of the other stream also holds revokes: a missing record may contain a reason against them.
#[tokio::test]
async fn a_loss_of_the_log_stream_holds_revokes_and_not_the_fold_of_plays() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.settled().await;
    world.jetstream.delete_stream("AUTH0_LOGS").await.unwrap();
    assert!(world.command(&["migrate"]).await.status.success());
    let (worker, loss) = (world.worker(), "rolekeeper_stream_loss{stream=\"AUTH0_LOGS\"}");
    world
        .eventually("the loss is seen", async || worker.count(loss).await == Some(1))
        .await;
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    let held = "SELECT count(*) FROM nominations WHERE held = 'stream_loss'";
    world
        .eventually("the revoke is held", async || world.number(held).await == Some(1))
        .await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    assert_eq!(cursor(&world).await, 102);
    let accepted = world.command(&["accept-stream", "AUTH0_LOGS"]).await;
    assert!(accepted.status.success(), "{}", text(&accepted));
    world.settled().await;
    assert!(world.roles("auth0|ann").is_empty());
}

/// An apparent loss during the restore of a store is none once the store is there.
#[tokio::test]
async fn fold_18_one_look_is_not_a_loss() {
    let world = World::start().await;
    world.publish(&plays("a", "pl_1", 0..20)).await;
    world.settled().await;
    let mut nats = world.nats.lock().await;
    let store = nats.store_dir().to_path_buf();
    let (old, new) = (store.with_extension("old"), store.with_extension("new"));
    nats.stop().await.unwrap();
    copy_folder(&store, &old);
    nats.start_again().await.unwrap();
    world.publish(&plays("b", "pl_1", 0..20)).await;
    world
        .eventually("all is folded", async || cursor(&world).await == 40)
        .await;
    for (from, to, looks) in [(&old, &new, true), (&new, &old, false)] {
        nats.stop().await.unwrap();
        std::fs::rename(&store, to).unwrap();
        std::fs::rename(from, &store).unwrap();
        nats.start_again().await.unwrap();
        let looks_rewound = |line: &String| line.contains("APP_EVENTS looks rewound");
        if looks {
            let worker = world.worker();
            world
                .eventually("it seems to be a loss", async || {
                    worker.messages().iter().any(looks_rewound)
                })
                .await;
        }
    }
    drop(nats);
    world.publish(&plays("c", "pl_1", 0..20)).await;
    world.settled().await;
    assert_eq!(world.number("SELECT count(*) FROM stream_losses").await, Some(0));
}

#[tokio::test]
async fn fold_12_two_rewinds_in_a_row_count_nothing_twice() {
    let world = World::start().await;
    world.publish(&plays("a", "pl_1", 0..6)).await;
    world.settled().await;
    let copy = {
        let mut nats = world.nats.lock().await;
        let copy = nats.store_dir().with_extension("copy");
        nats.stop().await.unwrap();
        copy_folder(nats.store_dir(), &copy);
        nats.start_again().await.unwrap();
        copy
    };
    world.publish(&plays("b", "pl_1", 0..12)).await;
    world
        .eventually("all is folded", async || cursor(&world).await == 18)
        .await;
    for _ in 0..2 {
        stop(&world).await;
        let mut nats = world.nats.lock().await;
        nats.stop().await.unwrap();
        std::fs::remove_dir_all(nats.store_dir()).unwrap();
        copy_folder(&copy, nats.store_dir());
        nats.start_again().await.unwrap();
        drop(nats);
        world.oracle().another_stream();
        // As the fold records it, which another test covers.
        let found = "INSERT INTO stream_losses (stream, kind, detail) VALUES ('APP_EVENTS', 'rewound', 'by the test')";
        sqlx::query(found).execute(&world.db).await.unwrap();
        let accepted = world.command(&["accept-stream", APP_EVENTS]).await;
        assert!(
            text(&accepted).contains("the fold goes on at 7, 0 messages wait"),
            "{}",
            text(&accepted)
        );
        world.start_worker().await;
    }
    world.publish(&plays("c", "pl_1", 0..3)).await;
    world.settled().await;
}

#[tokio::test]
async fn fold_11_events_that_are_there_are_given_up_only_on_purpose() {
    let world = World::builder().workers(0).start().await;
    world.publish(&plays("a", "pl_1", 0..30)).await;
    let found = "INSERT INTO stream_cursors (stream, created_ns, last_seq, last_stored_ns) VALUES ('APP_EVENTS', $1, 10, 0)";
    let stream = world.jetstream.get_stream(APP_EVENTS).await.unwrap();
    let created = stream.cached_info().created.unix_timestamp_nanos();
    sqlx::query(found)
        .bind(i64::try_from(created).unwrap())
        .execute(&world.db)
        .await
        .unwrap();
    let found =
        "INSERT INTO stream_losses (stream, kind, detail) VALUES ('APP_EVENTS', 'hole', 'by the test')";
    sqlx::query(found).execute(&world.db).await.unwrap();

    let refused = world
        .command(&["accept-stream", APP_EVENTS, "--from", "26"])
        .await;
    let said = text(&refused);
    assert!(
        !refused.status.success() && said.contains("15 stored messages are given up; 5 wait"),
        "{said}"
    );
    assert_eq!(cursor(&world).await, 10);
    let accepted = world
        .command(&["accept-stream", APP_EVENTS, "--from", "26", "--yes"])
        .await;
    assert!(accepted.status.success(), "{}", text(&accepted));
    assert_eq!(cursor(&world).await, 25);
}

/// A stream created from a copy has events that were folded before: their store times are as old.
#[tokio::test]
async fn a_stream_that_was_copied_wants_to_be_told_where_to_go_on() {
    let world = World::start().await;
    world.publish(&plays("a", "pl_1", 0..20)).await;
    world.settled().await;
    world.jetstream.delete_stream(APP_EVENTS).await.unwrap();
    assert!(world.command(&["migrate"]).await.status.success());
    world.oracle().another_stream();
    // A message stored, by the stream's clock, before the newest folded one.
    world.publish(&[play("a-19", "pl_1")]).await;
    world.oracle().lost([1]);
    let later = "UPDATE stream_cursors SET newest_stored_ns = last_stored_ns + 3600000000000 WHERE stream = 'APP_EVENTS'";
    sqlx::query(later).execute(&world.db).await.unwrap();
    let worker = world.worker();
    world
        .eventually("the loss is seen", async || worker.count(LOSS).await == Some(1))
        .await;
    let refused = world.command(&["accept-stream", APP_EVENTS]).await;
    let said = text(&refused);
    assert!(
        !refused.status.success() && said.contains("stored before the newest") && said.contains("--from"),
        "{said}"
    );
    let accepted = world
        .command(&["accept-stream", APP_EVENTS, "--from", "2", "--yes"])
        .await;
    assert!(accepted.status.success(), "{}", text(&accepted));
    world.publish(&plays("b", "pl_1", 0..20)).await;
    world.settled().await;
}

/// A worker that starts while a loss is open shows the waiting messages, and sees the acceptance without a hint.
#[tokio::test]
async fn an_accepted_loss_is_seen_without_a_hint() {
    let world = World::builder().workers(0).postgres_proxy().start().await;
    world.jetstream.delete_stream(APP_EVENTS).await.unwrap();
    let stream = world
        .jetstream
        .create_stream(unguarded(-1, DiscardPolicy::New))
        .await;
    let first = world.start_worker().await;
    world.publish(&plays("a", "pl_1", 0..5)).await;
    world.count_is("all is folded", CURSOR, 5).await;
    first.kill9().await;
    world.publish(&plays("lost", "pl_1", 0..5)).await;
    stream.unwrap().purge().await.unwrap();
    world.publish(&plays("b", "pl_1", 0..5)).await;
    let second = world.spawn_worker_with(&[]);
    let loss = async || second.count(LOSS).await == Some(1);
    world.eventually("the loss is seen", loss).await;
    second.kill9().await;
    world.postgres_proxy().hold(b"LISTEN");
    let third = world.spawn_worker_with(&[]);
    let lag = "rolekeeper_fold_lag_messages{stream=\"APP_EVENTS\"}";
    world
        .eventually("its lag is shown", async || third.count(lag).await == Some(10))
        .await;
    let accept = world.command(&["accept-stream", APP_EVENTS, "--yes"]).await;
    assert!(accept.status.success(), "{}", text(&accept));
    world.count_is("it continues", CURSOR, 15).await;
}

const CURSOR: &str = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
