//! An erased id that an account has since: nothing of it comes back with the profile of that account.

use crate::world::erasure::{ANN, BARE, BOB, named, world};
use crate::world::persons::app;

#[tokio::test]
async fn the_profile_of_another_account_shows_no_erased_id() {
    let world = world().start().await;
    world.connect_log_stream().await;
    for user in [ANN, BOB] {
        world.seed_user(user, &["mentor"]);
        world.tenant.login(user).expect("a login");
    }
    world.quiet().await;
    world.told(&["erase", "--force", ANN]).await;
    let reads = world.calls_of(BOB).len();
    world.tenant.link(app(), BOB, ANN).expect("a link");
    world
        .eventually("the account was read", async || {
            world.calls_of(BOB).len() > reads && world.is_quiet().await
        })
        .await;
    let read = "SELECT count(*) FROM users WHERE profile IS NOT NULL";
    assert_eq!(world.number(read).await, Some(1), "the profile of Bob");
    assert_eq!(named(&world).await, [].into());
    assert!(!world.told(&["export", BOB]).await.contains(BARE));
}
