//! F35: one of three nats-servers cut off for 60 s, then back: each acknowledged play counts once; the fold continues within 10 s of the
//! quorum. It is the leader, and workers do not reach it either.

use std::time::{Duration, Instant};

use super::{begun, load};
use crate::world::cluster;
use crate::world::oracle::ROLE;
use crate::world::{ANN, World, size};

/// Longest time from a quorum until the fold goes on.
const GOES_ON_WITHIN: Duration = Duration::from_secs(10);

/// The cut lasts 15 s; with `LONG_TESTS`, 60 s.
#[tokio::test]
async fn f35_a_server_that_is_cut_off_stops_no_fold() {
    let (mut world, cluster) = cluster::world(World::builder()).await;
    begun(&world).await;
    load(&world, "before", twice()).await;
    let cut = world.led(2).await;
    let others: Vec<usize> = (0..3).filter(|other| *other != cut).collect();
    let until = Instant::now() + Duration::from_secs(size(15, 60).into());
    cluster.cut_off(cut);
    world.jetstream = cluster.jetstream(&others).await;
    world.led(0).await;
    let quorum = Instant::now();
    load(&world, "meanwhile", twice()).await;
    goes_on(&world, quorum).await;
    load(&world, "cut", || Instant::now() > until).await;
    cluster.heal(cut);
    world.led(2).await;
    let quorum = Instant::now();
    load(&world, "after", twice()).await;
    goes_on(&world, quorum).await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}

/// Two rounds of plays.
fn twice() -> impl FnMut() -> bool {
    let mut rounds = 0;
    move || {
        rounds += 1;
        rounds > 2
    }
}

/// All plays are folded within the time from this quorum on.
async fn goes_on(world: &World, quorum: Instant) {
    let left = GOES_ON_WITHIN.saturating_sub(quorum.elapsed());
    world
        .eventually_within(left, "the fold goes on", async || world.is_quiet().await)
        .await;
    println!("folded {:?} after the quorum", quorum.elapsed());
}
