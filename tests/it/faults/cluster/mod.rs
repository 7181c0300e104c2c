//! A cluster of three nats-servers in trouble, and every acknowledged play counts once.

use std::time::{Duration, Instant};

use crate::world::World;
use crate::world::events::{plays, saved};

mod cut_off;
mod kills;
mod restored;

/// Plays that are published together, twice a second.
const AT_ONCE: u32 = 1_000;
const EVERY: Duration = Duration::from_millis(500);

/// Ann has the playlist `pl_1`, and a worker folds.
async fn begun(world: &World) {
    world.seed_user(crate::world::ANN, &["mentor"]);
    world.start_worker().await;
    world.publish(&[saved("s-1", "pl_1", crate::world::ANN)]).await;
    world.quiet().await;
}

/// Publishes 2,000 plays a second, as far as the servers acknowledge them, until it is over; returns their number and the time.
async fn load(world: &World, name: &str, mut is_over: impl FnMut() -> bool) -> (u32, Duration) {
    let (begun, mut sent) = (Instant::now(), 0);
    while !is_over() {
        let since = Instant::now();
        world.publish(&plays(name, "pl_1", sent..sent + AT_ONCE)).await;
        sent += AT_ONCE;
        tokio::time::sleep(EVERY.saturating_sub(since.elapsed())).await;
    }
    (sent, begun.elapsed())
}
