//! F36: a quorum restored from an older copy of two servers' folders: reported as `rewound` or `replaced`, never silence; `accept-stream`
//! ends right.

use nix::sys::signal::Signal;

use super::begun;
use crate::world::cluster::{self, Cluster};
use crate::world::events::plays;
use crate::world::losses::{LOSS, copy_folder, stop};
use crate::world::oracle::ROLE;
use crate::world::{ANN, APP_EVENTS, World};

/// The servers with the older copy.
const OLDER: [usize; 2] = [0, 1];

async fn end_all(cluster: &mut Cluster) {
    for n in 0..3 {
        cluster.end(n, Signal::SIGTERM).await;
    }
}

/// Copies the folders while no server runs.
async fn copied(world: &World, cluster: &mut Cluster) {
    end_all(cluster).await;
    for n in OLDER {
        copy_folder(&cluster.store(n), &cluster.store(n).with_extension("copy"));
    }
    for n in 0..3 {
        cluster.start_again(n);
    }
    world.led(2).await;
}

/// Restores the copies. The two have a quorum, and publishers go on; then the third server comes back without its folder, whose newer
/// messages could replace the new ones.
async fn restored(world: &World, cluster: &mut Cluster) {
    end_all(cluster).await;
    for n in OLDER {
        std::fs::remove_dir_all(cluster.store(n)).expect("the folder goes");
        copy_folder(&cluster.store(n).with_extension("copy"), &cluster.store(n));
        cluster.start_again(n);
    }
    world.led(1).await;
    world.oracle().another_stream();
    world.publish(&plays("c", "pl_1", 0..10)).await;
    std::fs::remove_dir_all(cluster.store(2)).expect("the folder goes");
    cluster.start_again(2);
    world.led(2).await;
}

#[tokio::test]
async fn f36_a_quorum_of_older_copies_is_told_and_accepted() {
    let (world, mut cluster) = cluster::world(World::builder()).await;
    begun(&world).await;
    world.publish(&plays("a", "pl_1", 0..60)).await;
    world.quiet().await;
    copied(&world, &mut cluster).await;
    world.publish(&plays("b", "pl_1", 0..30)).await;
    world.quiet().await;
    stop(&world).await;
    restored(&world, &mut cluster).await;
    let worker = world.spawn_worker_with(&[]);
    world
        .eventually("the loss is seen", async || worker.count(LOSS).await == Some(1))
        .await;
    let told =
        |line: &String| line.contains("APP_EVENTS rewound: ") || line.contains("APP_EVENTS replaced: ");
    world
        .eventually("the log reports it", async || worker.messages().iter().any(told))
        .await;
    world.told(&["accept-stream", APP_EVENTS]).await;
    world.publish(&plays("d", "pl_1", 0..10)).await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}
