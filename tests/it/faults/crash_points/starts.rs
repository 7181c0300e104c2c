//! The start of a worker, the first one in a database, and its stop.

use nix::sys::signal::Signal;

use super::run::{Place, kill_each, kill_once};
use super::table;
use crate::world::World;
use crate::world::events::plays;

/// Each in a new database.
#[tokio::test]
async fn kills_while_the_first_worker_starts() {
    for point in table::points_of("first start") {
        kill_once(point, World::builder()).await;
    }
}

#[tokio::test]
async fn kills_while_a_worker_stops_and_starts() {
    kill_each("a restart", World::builder(), false, async |place: &Place, _| {
        let worker = place.world.worker();
        place.until(async || worker.is_ready().await).await;
        if worker.ended().is_none() {
            worker.send(Signal::SIGTERM);
        }
        place.until(async || worker.ended().is_some()).await;
        if !place.reached() {
            place.spawn();
        }
    })
    .await;
}

/// Starts that ended before anything was folded: the next one folds message by message.
#[tokio::test]
async fn kills_while_messages_are_folded_one_by_one() {
    let place = Place::start(World::builder(), false).await;
    place.next_worker().await;
    let world = &place.world;
    world.publish(&plays("a", "pl_1", 0..1)).await;
    world.settled().await;
    world.worker().kill9().await;
    world.publish(&plays("b", "pl_1", 0..10)).await;
    let ended = "UPDATE fold_starts f SET starts = 3, last_seq = c.last_seq FROM stream_cursors c WHERE c.stream = f.stream";
    world.run_sql(ended).await;
    for point in table::points_of("one by one") {
        let wrong = place.kill(point, async || drop(place.spawn())).await;
        assert!(wrong.is_empty(), "{point}: {}", wrong.join("\n"));
    }
}
