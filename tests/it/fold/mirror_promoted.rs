//! F37: a mirror promoted in place of the stream: `accept-stream --promoted` continues exactly; a mirror that lags is refused. Repeats
//! count once.

use crate::world::events::{Sent, plays, saved};
use crate::world::{APP_EVENTS, World, text};

const PLAYS: &str = "SELECT plays FROM playlists WHERE playlist_id = 'pl_1'";
const FOLDED: &str = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
const LOSS: &str = "SELECT count(*) FROM stream_losses WHERE accepted_at IS NULL AND kind = 'recreated'";
const DROPPED: &str = "rolekeeper_duplicates_dropped_total";

async fn accept(world: &World) -> (bool, String) {
    let output = world.command(&["accept-stream", APP_EVENTS, "--promoted"]).await;
    (output.status.success(), text(&output))
}

async fn lost(world: &World) {
    world
        .eventually("the loss is recorded", async || {
            world.number(LOSS).await == Some(1)
        })
        .await;
}

/// A world whose worker has folded these plays of `pl_1`, and whose stream was then replaced by its promoted mirror.
async fn promoted_after(first: &[Sent]) -> World {
    let world = World::builder().env("ONLY", "fold").start().await;
    world.publish(&[saved("s", "pl_1", "auth0|ann")]).await;
    world.publish(first).await;
    let folded = Some(i64::try_from(first.len()).expect("few") + 1);
    let all = async || world.number(FOLDED).await == folded;
    world.eventually("all is folded", all).await;
    world.promote_a_mirror().await;
    lost(&world).await;
    world
}

#[tokio::test]
async fn f37_a_promoted_mirror_goes_on_and_repeats_count_once() {
    let first = plays("a", "pl_1", 0..60);
    let world = promoted_after(&first).await;
    // Repeats from before and after the acceptance.
    world.publish(&first[10..40]).await;
    let (accepted, said) = accept(&world).await;
    assert!(accepted && said.contains("61 event ids"), "{said}");
    let again = first[..10].iter().map(|event| Sent {
        // Like a stream that knows no earlier ids.
        id: format!("{}-again", event.id),
        ..event.clone()
    });
    world.publish(&again.collect::<Vec<_>>()).await;
    world.publish(&plays("b", "pl_1", 0..40)).await;
    let counted = async || world.number(PLAYS).await == Some(100);
    world.eventually("each counts once", counted).await;
    // The stream did not store messages whose id it still knew.
    let stored = world.number(FOLDED).await.unwrap_or_default() - 61 - 40;
    assert!((10..=40).contains(&stored), "{stored}");
    assert_eq!(world.worker().count(DROPPED).await, Some(stored));
}

#[tokio::test]
async fn f37_after_the_duplicate_window_the_ids_are_removed() {
    let world = promoted_after(&plays("a", "pl_1", 0..60)).await;
    assert!(accept(&world).await.0);
    let ids = "SELECT count(*) FROM event_id_partitions";
    let over = "UPDATE stream_cursors SET dedup_until_ns = 1 WHERE stream = 'APP_EVENTS'";
    sqlx::query(over)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.worker().kill9().await;
    world.start_worker().await;
    world.publish(&plays("c", "pl_1", 0..1)).await;
    let removed = async || world.number(ids).await == Some(0);
    world.eventually("the ids are removed", removed).await;
    let counted = async || world.number(PLAYS).await == Some(61);
    world.eventually("the play counts", counted).await;
}

#[tokio::test]
async fn f37_another_stream_is_no_promoted_mirror() {
    let world = World::builder().env("ONLY", "fold").start().await;
    world.publish(&plays("a", "pl_1", 0..5)).await;
    world
        .eventually("all is folded", async || world.number(FOLDED).await == Some(5))
        .await;
    let like = world.app_events().await;
    world.jetstream.delete_stream(APP_EVENTS).await.expect("it goes");
    world.jetstream.create_stream(like).await.expect("made again");
    lost(&world).await;
    let (accepted, said) = accept(&world).await;
    assert!(!accepted && said.contains("does not hold message 5"), "{said}");
    world.publish(&plays("a", "pl_1", 0..5)).await;
    let (accepted, said) = accept(&world).await;
    assert!(!accepted && said.contains("stored at another time"), "{said}");
    assert_eq!(world.number(LOSS).await, Some(1));
}

#[tokio::test]
async fn f37_a_mirror_that_lags_is_refused() {
    let world = World::builder().env("ONLY", "fold").start().await;
    world.publish(&plays("a", "pl_1", 0..50)).await;
    world.mirror_events().await;
    world.publish(&plays("b", "pl_1", 0..10)).await;
    let folded = async || world.number(FOLDED).await == Some(60);
    world.eventually("all is folded", folded).await;
    world.mirror_takes_over().await;
    lost(&world).await;
    let (accepted, said) = accept(&world).await;
    assert!(!accepted && said.contains("does not hold message 60"), "{said}");
    assert_eq!(
        (world.number(LOSS).await, world.number(PLAYS).await),
        (Some(1), Some(60))
    );
}
