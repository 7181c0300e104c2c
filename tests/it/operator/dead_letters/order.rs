//! A requeued message has its place in the stream's order: later messages hold.

use super::{PLAYS, corrected, letters, refusing, requeued};
use crate::world::events::{deleted, plays, retraction, saved};
use crate::world::{ANN, World};

const OWNER: &str = "SELECT owner_id FROM playlists WHERE playlist_id = 'bad'";

#[tokio::test]
async fn a_saving_does_not_undo_a_later_one() {
    let world = refusing(World::builder()).await;
    world.start_worker().await;
    letters(&world, &[saved("s1", "bad", ANN)]).await;
    corrected(&world).await;
    world.publish(&[saved("s2", "bad", "auth0|bob")]).await;
    let owner = async || world.rows(OWNER).await.first().map(|row| row["owner_id"].clone());
    world
        .eventually("bob has it", async || owner().await == Some("auth0|bob".into()))
        .await;
    let said = requeued(&world).await;
    assert!(said.contains("the playlist was saved or deleted since"), "{said}");
    assert_eq!(owner().await, Some("auth0|bob".into()));
}

#[tokio::test]
async fn a_play_of_an_earlier_life_does_not_count_in_the_next() {
    let world = refusing(World::builder()).await;
    world.start_worker().await;
    letters(&world, &plays("p", "bad", 0..2)).await;
    letters(&world, &[retraction("r", "p-9", "bad")]).await;
    corrected(&world).await;
    let life = [
        saved("s1", "bad", ANN),
        deleted("d", "bad"),
        saved("s2", "bad", ANN),
    ];
    world.publish(&life).await;
    world.publish(&plays("n", "bad", 0..5)).await;
    world.count_is("the new life counts", PLAYS, 5).await;
    let said = requeued(&world).await;
    assert!(said.contains("0 folded, 3 without an effect"), "{said}");
    assert_eq!(world.number(PLAYS).await, Some(5));
}

#[tokio::test]
async fn plays_count_under_a_playlist_that_was_renamed_since() {
    let world = refusing(World::builder()).await;
    world.start_worker().await;
    letters(&world, &plays("p", "bad", 0..3)).await;
    corrected(&world).await;
    world
        .publish(&[saved("s1", "bad", ANN), saved("s2", "bad", ANN)])
        .await;
    world.count_is("it is saved", PLAYS, 0).await;
    requeued(&world).await;
    assert_eq!(world.number(PLAYS).await, Some(3));
}
