//! The data API and erased users: it keeps no data of them, and responds with that error.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::data_api::{DataApi, Got};
use crate::world::erasure::{ANN, KEY, named};
use crate::world::{World, text};

/// One write of each kind by the user, with its response.
async fn written(api: &DataApi) -> Vec<(&'static str, u16, Got)> {
    let featured = json!({"playlist_id": "pl_ann"});
    let writes = [
        (Method::POST, "/songs", json!({"songname": "Blue"})),
        (Method::POST, "/playlists", json!({"name": "Road trip"})),
        (Method::PUT, "/genres/fav", json!({"genre": "jazz"})),
        (Method::PUT, "/playlists/featured", featured),
        (Method::PUT, "/displayName", json!({"displayName": "Annie"})),
    ];
    let mut responses = Vec::new();
    for (method, path, body) in writes {
        let got = api.send(ANN, method, path, body).await;
        responses.push((path, got.status, got));
    }
    responses
}

#[tokio::test]
async fn an_erased_user_leaves_no_data_and_is_refused() {
    let builder = World::builder()
        .env("ERASURE_KEY", KEY)
        .env("SWEEP_INTERVAL_S", 1);
    let api = DataApi::start_in(builder, &[]).await;
    let world = &api.world;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_ann").await;
    world.settled().await;
    for (path, status, got) in written(&api).await {
        assert!((200..300).contains(&status), "{path}: {got:?}");
    }
    let export = world.command(&["export", ANN]).await;
    let export: Value = serde_json::from_slice(&export.stdout).expect("JSON");
    for table in ["songs", "user_data", "featured_playlists"] {
        assert!(export["tables"][table][0].is_object(), "{table}: {export}");
    }

    let erased = world.command(&["erase", "--force", ANN]).await;
    assert!(erased.status.success(), "{}", text(&erased));
    for (path, status, got) in written(&api).await {
        // An erased user is no longer an editor; the data API checks the erasure first.
        let code = if path == "/playlists/featured" {
            "not_an_editor"
        } else {
            "erased"
        };
        assert_eq!((status, got.code().as_str()), (403, code), "{path}");
    }
    let quiet = async || world.is_quiet().await;
    world.eventually("in-flight calls have ended", quiet).await;
    assert_eq!(named(world).await, BTreeMap::new());
    assert_eq!(api.get(ANN, "/songs").await.text, "[]");
}
