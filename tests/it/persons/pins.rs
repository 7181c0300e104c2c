//! Pins of linked ids: they follow the person.

use crate::world::World;
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE};

const MOVED: &str = "SELECT count(*) FROM pins WHERE user_id = 'auth0|ann' AND state = 'off'";

async fn ban(world: &World) {
    world.told(&["pin", GOOGLE, ROLE, "off", "--why", "a ban"]).await;
}

#[tokio::test]
async fn a_pin_moves_with_the_id_that_is_linked() {
    let world = World::two_accounts().await;
    ban(&world).await;
    world
        .eventually("the ban is done", async || {
            world.roles(GOOGLE).is_empty() && world.is_quiet().await
        })
        .await;
    world.link();
    world.linked(1).await;
    world.count_is("the pin has moved", MOVED, 1).await;
    world
        .eventually("all is done", async || world.is_quiet().await)
        .await;
    assert_eq!(world.roles(ANN), ["mentor"], "the ban holds");
}

#[tokio::test]
async fn a_pin_of_a_linked_id_takes_effect_at_the_account() {
    let world = World::two_accounts().await;
    world.link();
    world.role_follows().await;
    ban(&world).await;
    world.count_is("the pin has moved", MOVED, 1).await;
    world
        .eventually("the ban is done", async || world.roles(ANN) == ["mentor"])
        .await;
}
