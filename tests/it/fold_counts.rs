//! What events do to counts and roles when nothing breaks.

use crate::events::{plays, retraction, saved};
use crate::world::World;

#[tokio::test]
async fn a_role_comes_at_the_hundredth_play_and_goes_with_a_retraction() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &["mentor", "beta"]);
    world.seed_user("auth0|bob", &["mentor"]);
    world
        .publish(&[saved("s1", "pl_1", "auth0|ann"), saved("s2", "pl_2", "auth0|bob")])
        .await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.publish(&plays("b", "pl_2", 0..99)).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", "beta", "playlist_editor"]);
    assert_eq!(world.roles("auth0|bob"), ["mentor"]);
    assert_eq!(world.patches(), 1);

    // Everything again under the same ids, and a restart: nothing new to write.
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.worker().kill9().await;
    world.start_worker().await;
    world.settled().await;
    assert_eq!(world.patches(), 1);

    world.publish(&[retraction("r1", "a-7", "pl_1")]).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", "beta"]);
    assert_eq!(world.patches(), 2);
}
