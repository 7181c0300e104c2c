//! A role that we granted is adopted, also when no worker recorded the grant.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};

use crate::world::World;
use crate::world::events::{plays, retraction, saved};

/// Ann earns the role; returns once the tenant has done `what` with the write.
async fn write_goes_wrong(world: &World, what: Fault) {
    world.seed_user("auth0|ann", &["mentor"]);
    world.tenant.fault_once(CallMatch::to(Endpoint::PatchUser), what);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world
        .eventually("the role is written", async || {
            world.roles("auth0|ann") == ["mentor", "playlist_editor"]
        })
        .await;
}

#[tokio::test]
async fn a_role_no_longer_earned_when_the_write_is_answered_goes() {
    let world = World::start().await;
    write_goes_wrong(&world, Fault::DelayedAnswer(Duration::from_secs(3))).await;
    world.publish(&[retraction("r1", "a-7", "pl_1")]).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);
}

#[tokio::test]
async fn a_revoke_follows_a_grant_without_a_response() {
    let world = World::builder().env("AUTH0_TIMEOUT_S", 1).start().await;
    write_goes_wrong(&world, Fault::AppliedButUnanswered).await;
    world.publish(&[retraction("r1", "a-7", "pl_1")]).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);
}
