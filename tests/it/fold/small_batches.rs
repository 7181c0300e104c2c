//! Batches that are small enough for the fast path, which moves cursor and counts in one statement.

use serde_json::json;

use crate::world::World;
use crate::world::events::{deleted, play, plays, saved};

const COUNTS: &str = "SELECT playlist_id, plays, deleted, owner_id FROM playlists ORDER BY 1";

/// Publishes a play and waits until nothing is left to do, so that the next one comes alone.
async fn one_play(world: &World, id: &str, playlist: &str) {
    world.publish(&[play(id, playlist)]).await;
    world.quiet().await;
}

#[tokio::test]
async fn single_plays_carry_owners_over_the_threshold() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..98)).await;
    world
        .publish(&[saved("s2", "gone", "auth0|ann"), deleted("d1", "gone")])
        .await;
    world.settled().await;
    for (id, playlist) in [("b1", "pl_1"), ("b2", "new"), ("b3", "new"), ("b4", "gone")] {
        one_play(&world, id, playlist).await;
    }
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);
    one_play(&world, "b5", "pl_1").await;
    one_play(&world, "b6", "pl_1").await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", "playlist_editor"]);
    assert_eq!(world.patches(), 1);
    let ann = "auth0|ann";
    assert_eq!(
        world.rows(COUNTS).await,
        [
            json!({"playlist_id": "gone", "plays": 0, "deleted": true, "owner_id": ann}),
            json!({"playlist_id": "new", "plays": 2, "deleted": false, "owner_id": null}),
            json!({"playlist_id": "pl_1", "plays": 101, "deleted": false, "owner_id": ann}),
        ]
    );
}

/// The statement does not add to a playlist whose owner was erased since it was read.
#[tokio::test]
async fn a_playlist_erased_while_its_play_is_counted_takes_none() {
    let world = World::start().await;
    world
        .publish(&[saved("s1", "pl_1", "auth0|ann"), play("a1", "pl_1")])
        .await;
    world.settled().await;

    // Like an erasure.
    let mut erasure = world.db.begin().await.expect("Postgres responds");
    sqlx::query("UPDATE playlists SET owner_id = NULL, name = NULL, plays = 0, deleted = true WHERE owner_id = 'auth0|ann'")
        .execute(&mut *erasure)
        .await
        .expect("Postgres responds");
    world.publish(&[play("a2", "pl_1")]).await;
    world
        .eventually("the fold waits for the playlist", async || {
            let waits = "SELECT count(*) FROM pg_stat_activity
                         WHERE datname = current_database() AND wait_event_type = 'Lock'";
            world.number(waits).await == Some(1)
        })
        .await;
    erasure.commit().await.expect("Postgres responds");
    one_play(&world, "a3", "pl_2").await;
    assert_eq!(
        world.rows(COUNTS).await,
        [
            json!({"playlist_id": "pl_1", "plays": 0, "deleted": true, "owner_id": null}),
            json!({"playlist_id": "pl_2", "plays": 1, "deleted": false, "owner_id": null}),
        ]
    );
    let opened = world.worker().log().matches("folding from the cursor on").count();
    assert_eq!(opened, 2, "a fold had to begin again:\n{}", world.worker().log());
}
