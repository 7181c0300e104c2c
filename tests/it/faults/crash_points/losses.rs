//! Streams that lost messages, or that a mirror replaced, and the commands that accept it.

use super::run::{Place, killed};
use super::table;
use crate::world::events::{Sent, plays};
use crate::world::{APP_EVENTS, World, text};

const LOST: &str = "SELECT count(*) FROM stream_losses WHERE accepted_at IS NULL";

/// A fold that has counted the plays `a`.
async fn folded(first: &[Sent]) -> Place {
    let place = Place::start(World::builder().env("ONLY", "fold"), false).await;
    place.next_worker().await;
    place.world.publish(first).await;
    place.world.quiet().await;
    place
}

/// The command finds nothing left to accept.
async fn accepted(world: &World, command: &[&str]) {
    let said = text(&world.command(command).await);
    assert!(said.contains("nothing to accept"), "{said}");
}

async fn right(place: &Place) {
    let wrong = place.wrong().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A fold with an open loss is not ready, so no other worker starts before the loss is accepted.
#[tokio::test]
async fn kills_while_a_promoted_mirror_is_accepted() {
    let first = plays("a", "pl_1", 0..60);
    let place = folded(&first).await;
    let world = &place.world;
    let [lost, ids, accepts, ended] = table::points_of("a promoted mirror")[..] else {
        panic!("four points");
    };
    let promoted = async || world.promote_a_mirror().await;
    assert!(place.passes(lost, "kill", promoted).await, "{lost}: not reached");
    place.dead().await;
    let accept = ["accept-stream", APP_EVENTS, "--promoted"];
    for point in [ids, accepts] {
        killed(&place, point, &accept).await.expect("the command dies");
    }
    accepted(world, &accept).await;
    place.next_worker().await;
    for event in &first[..10] {
        // Like a stream that knows no earlier ids.
        let id = format!("{}-again", event.id);
        let again = world.try_publish(&Sent { id, ..event.clone() }).await;
        again.expect("sent").await.expect("stored");
    }
    world.publish(&plays("b", "pl_1", 0..40)).await;
    right(&place).await;
    let wrong = place.kill(ended, async || {
        world
            .run_sql("UPDATE stream_cursors SET dedup_until_ns = 1 WHERE stream = 'APP_EVENTS'")
            .await;
        world.worker().kill9().await;
        place.spawn();
        world.publish(&plays("c", "pl_1", 0..1)).await;
    });
    let wrong = wrong.await;
    assert!(wrong.is_empty(), "{ended}: {}", wrong.join("\n"));
}

#[tokio::test]
async fn a_kill_while_a_loss_is_accepted() {
    let place = folded(&plays("a", "pl_1", 0..60)).await;
    let world = &place.world;
    world.jetstream.delete_stream(APP_EVENTS).await.expect("it goes");
    world.told(&["migrate"]).await;
    world.oracle().another_stream();
    world.publish(&plays("b", "pl_1", 0..20)).await;
    world.count_is("the loss is recorded", LOST, 1).await;
    let accept = ["accept-stream", APP_EVENTS];
    for point in table::points_of("an accepted loss") {
        killed(&place, point, &accept).await.expect("the command dies");
    }
    accepted(world, &accept).await;
    world.publish(&plays("c", "pl_1", 0..20)).await;
    right(&place).await;
}
