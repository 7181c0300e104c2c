//! Broken parts of NATS.

use super::findings;
use crate::world::World;

#[tokio::test]
async fn without_nats_all_other_parts_are_checked() {
    let world = World::builder().workers(0).start().await;
    let found = findings(&world, &[("NATS_URL", "nats://127.0.0.1:1")]).await;
    assert!(found.text("nats.server", "fault").contains("check NATS_URL"));
    assert!(found.text("nats.streams", "unchecked").contains("need a server"));
    assert!(found.text("auth0.token", "ok").contains("token"));
    assert_eq!(found.code, Some(2));
}

#[tokio::test]
async fn a_missing_and_a_changed_stream_are_faults() {
    let world = World::builder().workers(0).start().await;
    world
        .jetstream
        .delete_stream("AUTH0_LOGS")
        .await
        .expect("it is deleted");
    let found = findings(&world, &[]).await;
    let said = found.text("nats.streams", "fault");
    assert!(
        said.contains("no stream AUTH0_LOGS; run `rolekeeper migrate`"),
        "{said}"
    );
    assert!(found.text("nats.permissions", "ok").contains("APP_EVENTS"));
    world.told(&["migrate"]).await;
    let stream = world
        .jetstream
        .get_stream("APP_EVENTS")
        .await
        .expect("the stream");
    let mut config = stream.cached_info().config.clone();
    config.discard = async_nats::jetstream::stream::DiscardPolicy::Old;
    world
        .jetstream
        .update_stream(config)
        .await
        .expect("it is changed");
    let found = findings(&world, &[]).await;
    let said = found.text("nats.streams", "fault");
    assert!(
        said.contains("APP_EVENTS: its configuration is wrong: discard"),
        "{said}"
    );
}

#[tokio::test]
async fn a_user_without_rights_at_the_server_is_told_which() {
    let world = World::builder().workers(0).least_rights().start().await;
    let found = findings(&world, &[]).await;
    assert_eq!(found.with("fault"), [""; 0], "{:?}", found.texts);
    let url = world.setting("NATS_URL").replace("rolekeeper:", "app:");
    let found = findings(&world, &[("NATS_URL", &url)]).await;
    let said = found.text("nats.streams", "fault");
    assert!(said.contains("NATS does not permit this user to"), "{said}");
}
