//! Streams and sequences that are not as the worker left them.

use serde_json::json;

use super::attempts::{holder, settled_holder};
use super::run::{Place, kill_each};
use crate::world::events::saved;
use crate::world::oracle::ROLE;
use crate::world::{World, user};

const ROLE_CHANGES: &str = "ROLE_CHANGES";

/// The stream of announcements is created again, empty.
#[tokio::test]
async fn kills_while_announcements_are_lost() {
    kill_each(
        "lost announcements",
        World::builder(),
        false,
        async |place: &Place, n| {
            holder(place, &format!("u{n}")).await;
            let jetstream = &place.world.jetstream;
            place
                .until(async || place.world.number("SELECT count(*) FROM announced_end").await == Some(1))
                .await;
            let mut stream = jetstream.get_stream(ROLE_CHANGES).await.expect("the stream");
            let config = stream.info().await.expect("its info").config.clone();
            jetstream.delete_stream(ROLE_CHANGES).await.expect("deleted");
            jetstream.create_stream(config).await.expect("made again");
            holder(place, &format!("v{n}")).await;
        },
    )
    .await;
}

/// Announces a change that the audit does not know, as after a restore of the database.
async fn announced(place: &Place, change: &str, user: &str) {
    let payload = json!({"change_id": change, "user_id": user, "role": ROLE, "change": "granted"});
    let subject = format!("roles.{ROLE}.granted");
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", change);
    let sent = place
        .world
        .jetstream
        .publish_with_headers(subject, headers, payload.to_string().into());
    sent.await.expect("sent").await.expect("stored");
}

#[tokio::test]
async fn kills_while_forgotten_changes_are_found() {
    kill_each(
        "forgotten changes",
        World::builder(),
        false,
        async |place: &Place, n| {
            let name = format!("u{n}");
            settled_holder(place, &name).await;
            let change = format!("018f0000-0000-7000-8000-{n:012}");
            let other = user(&format!("w{n}"));
            place.world.seed_user(&other, &["mentor"]);
            announced(place, &change, &other).await;
            holder(place, &format!("v{n}")).await;
            place.until(async || false).await;
        },
    )
    .await;
}

/// The marks of announced changes are those of a backup, but the audit knows all changes.
#[tokio::test]
async fn kills_while_known_changes_are_compared() {
    kill_each(
        "known changes",
        World::builder(),
        false,
        async |place: &Place, n| {
            let world = &place.world;
            for name in ["u", "v"] {
                settled_holder(place, &format!("{name}{n}")).await;
            }
            let open = "SELECT count(*) FROM role_changes WHERE announced_at IS NULL";
            place.until(async || world.number(open).await == Some(0)).await;
            world.run_sql("UPDATE announced_end SET seq = seq - 2").await;
            world.worker().kill9().await;
            place.spawn();
        },
    )
    .await;
}

/// The sequence of keys is behind, as after a logical replication.
#[tokio::test]
async fn kills_while_keys_are_repaired() {
    kill_each(
        "repaired keys",
        World::builder(),
        false,
        async |place: &Place, n| {
            let world = &place.world;
            world
                .publish(&[saved(&format!("s{n}"), &format!("pl_{n}"), "auth0|ann")])
                .await;
            place.until(async || world.is_quiet().await).await;
            world.run_sql("SELECT setval('playlist_keys', 1, false)").await;
            world
                .publish(&[saved(&format!("s{n}-2"), &format!("pl_{n}_2"), "auth0|ann")])
                .await;
        },
    )
    .await;
}
