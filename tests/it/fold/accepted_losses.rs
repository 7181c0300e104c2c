//! What counts as a loss, and how the fold continues once the operator has accepted one.

use async_nats::jetstream::stream::DiscardPolicy;

use crate::world::events::{play, plays};
use crate::world::losses::{CURSOR, LOSS, copy_folder, cursor, stop, unguarded};
use crate::world::{APP_EVENTS, World, text};

/// An apparent loss during the restore of a store is none once the store is there.
#[tokio::test]
async fn fold_18_one_check_is_not_a_loss() {
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
