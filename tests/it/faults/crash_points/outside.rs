//! Deliveries to the webhook, and messages that cannot be read.

use super::run::{Place, kill_each};
use crate::world::events::{Sent, play, plays};
use crate::world::{LOG_TOKEN, World};

#[tokio::test]
async fn kills_while_the_webhook_stores() {
    kill_each(
        "the webhook",
        World::builder(),
        false,
        async |place: &Place, n| {
            let worker = place.world.worker();
            place.until(async || worker.is_ready().await).await;
            let records = (0..300).map(|record| format!("{{\"log_id\":\"{n}-{record}\",\"type\":\"s\"}}\n"));
            let body: String = records.collect();
            place
                .until(async || worker.post_logs(LOG_TOKEN, body.clone()).await == Some(200))
                .await;
        },
    )
    .await;
}

#[tokio::test]
async fn kills_while_a_message_is_set_aside() {
    kill_each(
        "an unreadable message",
        World::builder(),
        false,
        async |place: &Place, n| {
            let sent = Sent {
                poison: Some("unparsable"),
                ..play(&format!("poison-{n}"), "pl_1")
            };
            let world = &place.world;
            world
                .publish_raw(b"plays.pl_1", b"X-Name: caf\xe9\r\n", sent)
                .await;
            world.publish(&plays(&format!("a{n}"), "pl_1", 0..10)).await;
        },
    )
    .await;
}
