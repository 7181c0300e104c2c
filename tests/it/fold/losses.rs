//! F8: the stream is deleted and made again; purged; overtaken by its retention, before the start or under a running
//! consumer; a message deleted in the middle; the last sequence lies before the cursor, as after a restore: the fold
//! stops, reports which of these happened and what to run; revokes are held; no event is passed over in silence.

use async_nats::jetstream::stream::DiscardPolicy;

use crate::world::events::{plays, poison, retraction, saved};
use crate::world::losses::{
    LOSS, ann_is_about_to_lose_the_role, cursor, is_held_until_accepted, restored, stop, unguarded,
};
use crate::world::{APP_EVENTS, World, text};

#[tokio::test]
async fn f08_a_stream_that_was_made_again() {
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
async fn f08_a_stream_that_was_purged() {
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
async fn f08_retention_that_overtook_the_cursor_before_the_start() {
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
async fn f08_retention_that_overtakes_a_worker_that_sleeps() {
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
async fn f08_a_message_deleted_in_the_middle() {
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
async fn f08_a_store_restored_from_an_older_copy() {
    let world = ann_is_about_to_lose_the_role().await;
    restored(&world, &plays("folded", "pl_3", 0..30)).await;
    is_held_until_accepted(&world, "rewound", 104).await;
}

#[tokio::test]
async fn f08_a_restored_store_that_grew_past_the_cursor() {
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

/// A loss of the other stream also holds revokes: a missing record may contain a reason against them.
#[tokio::test]
async fn f08_a_loss_of_the_log_stream_holds_revokes_alone() {
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
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'stream_loss'";
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
