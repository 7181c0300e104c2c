//! Events between base and cursor that the fold does not count as they read.

use super::{counts, world};
use crate::world::erasure::KEY;
use crate::world::events::{Sent, deleted, deleted_by, play, plays, poison, retraction, saved};
use crate::world::losses::stop;
use crate::world::{ANN, World, user};

/// The same event again, under another message id, as after the stream's duplicate window.
fn again(event: &Sent) -> Sent {
    Sent {
        id: format!("{}-copy", event.id),
        ..event.clone()
    }
}

async fn no_difference(world: &World) {
    let found = counts(world).await;
    assert_eq!(found["differing"], 0, "{found}");
    assert_eq!(found["partitions"], 64, "{found}");
}

#[tokio::test]
async fn retractions_deletions_and_new_lives_are_counted_again() {
    let world = world().start().await;
    world.based().await;
    world.played("ann", 30).await;
    world.retracted("ann", 0..3).await;
    world.settled().await;
    world.based_again().await;
    let events = [
        retraction("again", "ann-0", "pl_ann"),
        retraction("twice-1", "ann-5", "pl_ann"),
        retraction("twice-2", "ann-5", "pl_ann"),
        deleted("d-1", "pl_ann"),
        play("lost", "pl_ann"),
        retraction("of-deleted", "ann-6", "pl_ann"),
        deleted("unknown", "pl_none"),
        saved("s-2", "pl_ann", &user("bob")),
        deleted_by("other", "pl_ann", ANN),
        poison("bad", "pl_ann", "nonsense", "not_json"),
        retraction("early", "to-come", "pl_new"),
    ];
    world.publish(&events).await;
    world.publish(&plays("more", "pl_ann", 0..7)).await;
    world.folded().await;
    no_difference(&world).await;
    // Also from the bases of the start.
    let said = world.told(&["rebuild", "--why", "a test"]).await;
    assert!(
        said.contains("nothing differed, and nothing was changed"),
        "{said}"
    );
}

#[tokio::test]
async fn a_letter_that_only_this_release_can_read_does_not_count() {
    let world = world().env("ONLY", "fold").start().await;
    world.based().await;
    world.publish(&plays("p", "pl_1", 0..3)).await;
    world.folded().await;
    // As an earlier release leaves a type that it does not know; and a letter of another stream that had the sequence before.
    let left = "UPDATE playlists SET plays = plays - 1;
        INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, payload, size_bytes, stored_at)
        SELECT stream, last_seq - n, 'plays.1', 'unknown_type', 'type: unknown', '', 0,
            'epoch'::timestamptz + (last_stored_ns / 1000) * interval '1 microsecond'
        FROM stream_cursors, generate_series(0, 1) AS n WHERE stream = 'APP_EVENTS'";
    world.run_sql(left).await;
    no_difference(&world).await;
}

#[tokio::test]
async fn repeats_that_the_dedup_window_dropped_do_not_count() {
    let world = world()
        .env("ONLY", "fold")
        .env("DEDUP_WINDOW", "1h")
        .start()
        .await;
    world.based().await;
    world
        .publish(&[saved("s", "pl_1", ANN), play("p-1", "pl_1"), play("p-2", "pl_1")])
        .await;
    world.folded().await;
    world.based_again().await;
    let other = play("p-2", "pl_1").with("song_id", "s_8");
    let events = [
        again(&play("p-1", "pl_1")),
        again(&other).poisoned("id_reused"),
        deleted("d", "pl_1"),
        saved("s-2", "pl_1", ANN),
        retraction("of-former-life", "p-1", "pl_1"),
        play("p-3", "pl_1"),
        again(&play("p-3", "pl_1")),
    ];
    world.publish(&events).await;
    world.folded().await;
    assert_eq!(world.number("SELECT plays FROM playlists").await, Some(1));
    assert_eq!(
        world.number("SELECT count(*) FROM replaced_events").await,
        Some(4)
    );
    no_difference(&world).await;
}

#[tokio::test]
async fn events_of_an_erased_user_are_not_counted() {
    let world = world().env("ONLY", "fold").env("ERASURE_KEY", KEY).start().await;
    world.based().await;
    world
        .publish(&[saved("s", "pl_1", ANN), saved("s-2", "pl_2", "auth0|bob")])
        .await;
    world.publish(&plays("p", "pl_1", 0..5)).await;
    world.folded().await;
    world.based_again().await;
    world.told(&["erase", "--force", ANN]).await;
    let named = "SELECT count(*) FROM playlist_base_counts WHERE owner_id = 'auth0|ann'";
    assert_eq!(world.number(named).await, Some(0));
    world.based().await;
    world
        .publish(&[
            saved("s-3", "pl_1", ANN),
            saved("s-4", "pl_2", ANN),
            play("late", "pl_1"),
        ])
        .await;
    world.folded().await;
    assert_eq!(
        world
            .number("SELECT count(*) FROM replaced_events WHERE deletes")
            .await,
        Some(1)
    );
    no_difference(&world).await;
}

#[tokio::test]
async fn acts_that_change_counts_remove_the_bases_they_concern() {
    let world = world().env("ONLY", "fold").start().await;
    world.based().await;
    world.publish(&[retraction("r", "p-1", "pl_1")]).await;
    world.folded().await;
    stop(&world).await;
    world.told(&["forgive", "--all", "--why", "a test"]).await;
    let of_it = "SELECT count(*) FROM playlist_bases b JOIN playlists p USING (partition)";
    assert_eq!(world.number(of_it).await, Some(0));
    assert_eq!(
        world.number("SELECT count(*) FROM playlist_bases").await,
        Some(63)
    );
    world.start_worker().await;
    world.based().await;
    no_difference(&world).await;
}
