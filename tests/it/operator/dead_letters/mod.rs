//! `rolekeeper dead-letters`: messages that could not be folded, read, folded again, and discarded.

mod exactly_once;
mod order;
mod requeue;
mod shown;

use std::process::Output;
use std::time::Duration;

use crate::world::events::Sent;
use crate::world::{World, text};

/// The plays of the playlist of most stories.
pub(crate) const PLAYS: &str = "SELECT plays FROM playlists WHERE playlist_id = 'bad'";
/// The letters that wait.
pub(crate) const WAITING: &str = "SELECT count(*) FROM dead_letters WHERE handled IS NULL";

/// A world in which Postgres refuses every event of the playlist `bad`.
async fn refusing(builder: crate::world::Builder) -> World {
    let world = builder.workers(0).start().await;
    refuse(&world).await;
    world
}

/// From now on Postgres refuses every event of the playlist `bad`.
async fn refuse(world: &World) {
    world
        .run_sql(
            "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF NEW.playlist_id = 'bad' THEN RAISE EXCEPTION 'bad row' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER bad BEFORE INSERT OR UPDATE ON playlists FOR EACH ROW EXECUTE FUNCTION bad()",
        )
        .await;
}

/// Ends the refusal: the cause is corrected.
async fn corrected(world: &World) {
    world.run_sql("DROP TRIGGER bad ON playlists").await;
}

/// Publishes these events, and waits until as many more dead letters wait.
async fn letters(world: &World, events: &[Sent]) {
    let before = world.number(WAITING).await.expect("Postgres responds");
    let count = before + i64::try_from(events.len()).expect("few");
    world.publish(events).await;
    // Each is searched for by halves.
    world
        .eventually_within(Duration::from_mins(2), "they are dead letters", async || {
            world.number(WAITING).await == Some(count)
        })
        .await;
}

/// Requeues all letters of the refused playlist.
async fn requeue(world: &World) -> Output {
    let all = [
        "dead-letters",
        "requeue",
        "--reason",
        "refused_by_database",
        "--why",
        "corrected",
    ];
    world.command(&all).await
}

/// The output of a requeue that left no letter waiting.
async fn requeued(world: &World) -> String {
    let output = requeue(world).await;
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}
