//! A name requested for an account that was deleted: another account made under the same id does not get it.

use crate::world::names::{request_name, seed, store};
use crate::world::{ANN, World};
use serde_json::{Value, json};

#[tokio::test]
async fn a_name_requested_before_the_account_was_made_again_ends() {
    let world = World::start().await;
    let store = store(&world);
    seed(&world, ANN, &Value::Null);
    world
        .run_sql("INSERT INTO work_queue (user_id, priority, force_fetch) VALUES ('auth0|ann', 0, true)")
        .await;
    let read = "SELECT count(*) FROM users WHERE profile IS NOT NULL";
    world.count_is("the account is read", read, 1).await;
    world.told(&["pause"]).await;
    request_name(&store, ANN, "Of the earlier").await;
    assert!(world.tenant.delete_user(ANN));
    world.tenant.create_user(ANN, json!({})).expect("a sign-up");
    world.told(&["resume"]).await;
    let ended = async || world.open_names().await.is_empty();
    world.eventually("the request ends", ended).await;
    world.quiet().await;
    assert!(world.writes_to(ANN).is_empty());
    request_name(&store, ANN, "Own").await;
    world.is_named(ANN, "Own").await;
}

#[tokio::test]
async fn a_name_older_than_an_account_never_read_ends() {
    let world = World::start().await;
    let store = store(&world);
    world.told(&["pause"]).await;
    for user in [ANN, "auth0|bob"] {
        request_name(&store, user, "Requested").await;
    }
    let earlier =
        "UPDATE display_names SET requested_at = now() - interval '2 minutes' WHERE user_id = 'auth0|ann'";
    world.run_sql(earlier).await;
    // The clocks of Postgres and Auth0 may differ by seconds: bob's request stays.
    for user in [ANN, "auth0|bob"] {
        world.tenant.create_user(user, json!({})).expect("a sign-up");
    }
    world.told(&["resume"]).await;
    world.is_named("auth0|bob", "Requested").await;
    world.quiet().await;
    assert!(world.open_names().await.is_empty());
    assert!(world.writes_to(ANN).is_empty());
}
