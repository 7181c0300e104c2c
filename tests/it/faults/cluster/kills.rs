//! F34: three nats-servers, streams with three replicas; the leader killed 20 times under 2,000 acknowledged plays a second: each
//! acknowledged play counts once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{begun, load};
use crate::world::cluster::{self, Cluster};
use crate::world::oracle::ROLE;
use crate::world::{ANN, World, size};

/// Kills the leader this number of times, each time once its predecessor follows.
async fn kill_leaders(world: &World, cluster: &mut Cluster, times: u32) {
    for _ in 0..times {
        let leader = world.led(2).await;
        cluster.end(leader, Signal::SIGKILL).await;
        world.led(1).await;
        cluster.start_again(leader);
    }
    world.led(2).await;
}

/// The leader is killed three times; with `LONG_TESTS`, 20 times.
#[tokio::test]
async fn f34_each_play_counts_once_though_leaders_die() {
    let (world, mut cluster) = cluster::world(World::builder()).await;
    begun(&world).await;
    let kills = size(3, 20);
    let over = AtomicBool::new(false);
    let killing = async {
        kill_leaders(&world, &mut cluster, kills).await;
        over.store(true, Ordering::Relaxed);
    };
    let loading = load(&world, "a", || over.load(Ordering::Relaxed));
    let ((sent, took), ()) = tokio::join!(loading, killing);
    println!("{sent} plays were acknowledged in {took:?}, with {kills} kills of the leader");
    world.settled_within(Duration::from_mins(2)).await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}
