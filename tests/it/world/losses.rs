//! Streams that lose messages, and what must follow: a stopped fold, held revokes, and the end of both.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, SubjectTransform};
use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};

use crate::world::events::{Sent, play, plays, poison, retraction, saved};
use crate::world::{APP_EVENTS, World, text};

pub(crate) const LOSS: &str = "rolekeeper_stream_loss{stream=\"APP_EVENTS\"}";

/// A stream as `migrate` creates it, except that it can be purged and messages can be deleted.
pub(crate) fn unguarded(max_messages: i64, discard: DiscardPolicy) -> Config {
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
pub(crate) async fn ann_is_about_to_lose_the_role() -> World {
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
    let tried = "SELECT count(*) FROM work_queue WHERE attempts > 0";
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
pub(crate) async fn stop(world: &World) {
    let status = world.worker().sigterm(Duration::from_secs(20)).await;
    assert!(status.success(), "{status}");
}

pub(crate) async fn cursor(world: &World) -> u64 {
    let seq = world
        .number("SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'")
        .await;
    seq.unwrap_or_default().unsigned_abs()
}

/// The loss is open and reported, and ann keeps the role; after the acceptance the fold continues at `next` and ann
/// loses it.
pub(crate) async fn is_held_until_accepted(world: &World, kind: &str, next: u64) {
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
    // The wait before the next attempt may have grown beyond the story's.
    world.run_sql("UPDATE work_queue SET due_at = now()").await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'stream_loss'";
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

/// Copies the store, lets `more` be folded, and restores the copy.
pub(crate) async fn restored(world: &World, more: &[Sent]) {
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

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

pub(crate) const CURSOR: &str = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
