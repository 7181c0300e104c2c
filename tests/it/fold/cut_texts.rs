//! F45: dates that overflow in UTC, years 0 and 9999 with offsets, numbers beyond f64, 140 levels, lone surrogates, in records, profiles
//! and events: no panic; the rest of the document is used, or the user is parked with a reason.

use super::record_hints::an_editor;
use crate::world::events::{plays, saved};
use crate::world::{ANN, LOG_TOKEN, World};

#[tokio::test]
async fn f45_dates_and_cut_texts_of_records_stop_no_fold() {
    let world = World::start().await;
    an_editor(&world).await;
    let record = |date: &str, updated_at: &str| {
        format!(
            r#"{{"type":"sapi","date":"{date}","client_id":"crm \ud83d","details":{{"request":{{"method":"patch","path":"/api/v2/users/auth0%7Cann",
            "body":{{"app_metadata":{{"roles":["vip","playlist_editor"]}}}}}},"response":{{"body":{{"user_id":"{ANN}","nickname":"DJ \ud83d",
            "logins_count":1e400,"updated_at":"{updated_at}"}}}}}}}}"#
        )
        .replace('\n', " ")
    };
    let ends = [
        "9999-12-31T23:59:59-23:59",
        "0000-01-01T00:00:00+23:59",
        "2026-11-24T00:00:00Z",
    ];
    let all = ends
        .iter()
        .flat_map(|date| ends.iter().map(move |updated_at| record(date, updated_at)));
    let body = all.collect::<Vec<_>>().join("\n");
    assert_eq!(world.worker().post_logs(LOG_TOKEN, body).await, Some(200));
    world.settled().await;
    let letters = "SELECT count(*) FROM dead_letters";
    assert_eq!(world.number(letters).await, Some(0));
    assert_eq!(world.roles(ANN), ["vip", "playlist_editor"]);
}

#[tokio::test]
async fn f45_a_playlist_with_a_cut_name_has_an_owner() {
    let world = World::start().await;
    world.seed_user(ANN, &[]);
    let mut cut = saved("cut", "pl_cut", ANN);
    let payload = String::from_utf8_lossy(&cut.payload).replace("Road trip", "DJ \\ud83d");
    cut.payload = payload.into_bytes();
    // Not through the oracle, which reads JSON as serde does.
    let stored = world.try_publish(&cut).await.expect("nats-server is there");
    stored.await.expect("it is stored");
    world.publish(&plays("play", "pl_cut", 0..100)).await;
    world
        .eventually("an editor", async || world.roles(ANN) == ["playlist_editor"])
        .await;
    let named = "SELECT count(*) FROM playlists WHERE owner_id = 'auth0|ann' AND name = 'DJ ' || chr(65533)";
    assert_eq!(world.number(named).await, Some(1));
}
