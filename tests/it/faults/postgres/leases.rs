//! Users in flight while Postgres is away do not wait for the end of their leases.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};

use crate::world::World;
use crate::world::oracle::ROLE;

const IN_FLIGHT: &str = "SELECT count(*) FROM work_queue WHERE lease IS NOT NULL";
const USERS: usize = 8;

/// The lease is 90 s.
#[tokio::test]
async fn users_in_flight_are_attempted_soon_after_a_cut() {
    let world = World::builder().postgres_proxy().start().await;
    let users: Vec<String> = (0..USERS).map(|n| format!("auth0|u{n}")).collect();
    world.told(&["pause"]).await;
    for (n, user) in users.iter().enumerate() {
        world.seed_user(user, &["mentor"]);
        let slow = Fault::DelayedAnswer(Duration::from_secs(4));
        world
            .tenant
            .fault_once(CallMatch::to(Endpoint::ReadUser).user(user), slow);
        world.earn(user, &format!("pl_{n}")).await;
    }
    world.told(&["resume"]).await;
    world.count_is("all are in flight", IN_FLIGHT, 8).await;
    world.postgres_proxy().refuse();
    let worker = world.worker();
    world
        .eventually("their attempts have ended", async || {
            worker.log().matches("attempt aborted").count() >= USERS
        })
        .await;
    assert_eq!(world.number(IN_FLIGHT).await, Some(8));
    world.postgres_proxy().restore();
    world
        .eventually_within(Duration::from_secs(15), "all have the role", async || {
            users.iter().all(|user| world.roles(user) == ["mentor", ROLE])
        })
        .await;
    world.settled().await;
}
