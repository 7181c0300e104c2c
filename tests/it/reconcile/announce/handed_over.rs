//! A leader without NATS leaves the leadership to a worker that reaches it.

use std::time::Duration;

use crate::world::events::{plays, saved};
use crate::world::{ANN, World, text};

/// The leader waits 20 s for NATS.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(40);

/// The events go through the other worker. The leader alone would write the role and announce nothing.
#[tokio::test]
async fn a_leader_without_nats_hands_over() {
    let world = World::builder().nats_proxy().start().await;
    world.seed_user(ANN, &["mentor"]);
    let nats = world.nats.lock().await.url();
    let other = world.start_worker_with(&[("NATS_URL", &nats)]).await;
    let leader = world.workers().swap_remove(0);
    assert!(leader.is_active("reconcile").await && !other.is_active("reconcile").await);
    world.nats_proxy().refuse();
    world.publish(&[saved("s1", "pl_1", ANN)]).await;
    world.publish(&plays("p", "pl_1", 0..100)).await;
    let announced = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
    world
        .eventually_within(HANDED_OVER_WITHIN, "the role is announced", async || {
            world.number(announced).await == Some(1)
        })
        .await;
    assert!(other.is_active("reconcile").await);
    assert_eq!(world.roles(ANN), ["mentor", "playlist_editor"]);
}

/// No other worker takes the lock: roles are written as before.
#[tokio::test]
async fn a_leader_that_is_alone_leads_on_without_nats() {
    let world = World::builder().nats_proxy().start().await;
    world.seed_user(ANN, &[]);
    world.publish(&[saved("s1", "pl_1", ANN)]).await;
    world.publish(&plays("p", "pl_1", 0..100)).await;
    world.settled().await;
    world.nats_proxy().refuse();
    let worker = world.worker();
    let handed_over = async || worker.log().contains("another worker can become the leader");
    world
        .eventually_within(HANDED_OVER_WITHIN, "it hands over", handed_over)
        .await;
    let pin = ["pin", ANN, "playlist_editor", "off", "--why", "a story"];
    let pinned = world.command(&pin).await;
    assert!(pinned.status.success(), "{}", text(&pinned));
    let revoked = async || world.roles(ANN).is_empty();
    world.eventually("the role is revoked", revoked).await;
}
