//! Requests of users: every route, its refusals, and that no user sees another's data.
//!
//! Owns the comparison with the stream and the tables; the API's own response is not enough.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::data_api::ANNA;
use crate::world::data_api::{DataApi, Got};
use crate::world::events::{plays, saved};

const BERT: &str = "google-oauth2|1|b@c.d";

async fn events(api: &DataApi) -> Vec<(String, String, Value)> {
    let stream = api
        .world
        .jetstream
        .get_stream("APP_EVENTS")
        .await
        .expect("the stream");
    let mut events = Vec::new();
    for seq in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(seq).await.expect("nothing is deleted");
        let id = message.headers.get("Nats-Msg-Id").expect("an id").to_string();
        let event = serde_json::from_slice(&message.payload).expect("JSON");
        events.push((message.subject.to_string(), id, event));
    }
    events
}

async fn listed(api: &DataApi, user: &str) -> Vec<Value> {
    let got = api.get(user, "/playlists").await;
    got.json().as_array().expect("a list").clone()
}

fn refused(got: &Got, status: u16, code: &str) {
    assert_eq!((got.status, got.code().as_str()), (status, code), "{got:?}");
}

#[tokio::test]
async fn songs_are_listed_by_page_and_deleted_by_their_user() {
    let api = DataApi::start().await;
    let mut ids = Vec::new();
    for name in ["One", "Zwei \u{1f3b5}", "3"] {
        let got = api
            .send(ANNA, Method::POST, "/songs", json!({"songname": name}))
            .await;
        let song = got.json();
        assert_eq!(
            (got.status, &song["songname"], &song["user_id"]),
            (201, &json!(name), &json!(ANNA))
        );
        ids.push(song["song_id"].as_str().expect("an id").to_owned());
    }
    let rows = api
        .world
        .rows("SELECT song_id, user_id, songname FROM songs ORDER BY song_id")
        .await;
    assert_eq!(api.get(ANNA, "/songs").await.json(), json!(rows));
    assert_eq!(api.get(BERT, "/songs").await.json(), json!([]));
    let first = api.get(ANNA, "/songs?limit=2").await;
    let next = format!("/songs?limit=2&after={}", ids[1]);
    assert_eq!(
        (first.json().as_array().map(Vec::len), first.header("link")),
        (Some(2), format!("<{next}>; rel=\"next\"").as_str())
    );
    assert_eq!(api.get(ANNA, &next).await.json(), json!([rows[2]]));
    let path = format!("/songs/{}", ids[0]);
    refused(&api.delete(BERT, &path).await, 404, "not_found");
    assert_eq!(api.delete(ANNA, &path).await.status, 204);
    refused(&api.delete(ANNA, &path).await, 404, "not_found");
    assert_eq!(api.world.number("SELECT count(*) FROM songs").await, Some(2));
}

#[tokio::test]
async fn bad_input_is_told_what_is_wrong() {
    let api = DataApi::start().await;
    let long = "é".repeat(257);
    for (name, why) in [
        ("", "songname"),
        ("  ", "songname"),
        ("a\0b", "songname"),
        (long.as_str(), "256"),
    ] {
        let got = api
            .send(ANNA, Method::POST, "/songs", json!({"songname": name}))
            .await;
        assert!(
            got.json()["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(why)),
            "{got:?}"
        );
        refused(&got, 422, "invalid");
    }
    assert_eq!(
        api.send(ANNA, Method::POST, "/songs", json!({"songname": "é".repeat(256)}))
            .await
            .status,
        201
    );
    for body in [
        json!([]),
        json!(["a"]),
        json!({}),
        json!({"songname": 7}),
        json!({"songname": "a", "user_id": BERT}),
    ] {
        refused(
            &api.send(ANNA, Method::POST, "/songs", body).await,
            422,
            "invalid",
        );
    }
    let post = |body: Vec<u8>, kind: &str| {
        let request = api.request(Method::POST, "/songs").bearer_auth(api.token(ANNA));
        DataApi::got(request.header("content-type", kind).body(body))
    };
    refused(&post(b"{".to_vec(), "application/json").await, 400, "bad_request");
    refused(
        &post(b"{\"songname\": \"a\"} x".to_vec(), "application/json").await,
        400,
        "bad_request",
    );
    refused(
        &post(b"\xff".to_vec(), "application/json").await,
        400,
        "bad_request",
    );
    refused(
        &post(b"{\"songname\": \"a\"}".to_vec(), "text/plain").await,
        415,
        "unsupported_media_type",
    );
    refused(
        &post(vec![b' '; 17 << 10], "application/json").await,
        413,
        "too_large",
    );
    for path in [
        "/songs?limit=0",
        "/songs?limit=101",
        "/songs?limit=x",
        "/songs?after=a.b",
        "/songs?limit=1&limit=2",
    ] {
        refused(&api.get(ANNA, path).await, 400, "bad_request");
    }
    refused(&api.delete(ANNA, "/songs/a%00b").await, 400, "bad_request");
    refused(&api.delete(ANNA, "/songs/%ff").await, 400, "bad_request");
    refused(&api.get(ANNA, "/nothing").await, 404, "not_found");
    let got = api.ask(Method::PATCH, "/songs", &api.token(ANNA), None).await;
    assert!(got.header("allow").contains("POST"), "{got:?}");
    refused(&got, 405, "method_not_allowed");
    assert_eq!(api.world.number("SELECT count(*) FROM songs").await, Some(1));
}

#[tokio::test]
async fn playlists_go_through_the_stream_and_open_the_editors_side() {
    let api = DataApi::start().await;
    api.world.seed_user(ANNA, &["dj"]);
    let road = json!({"name": "Road \u{1f697}"});
    let got = api.send(ANNA, Method::POST, "/playlists", road).await;
    let (accepted, status) = (got.json(), got.status);
    let (playlist, event) = (
        accepted["playlist_id"].as_str().expect("an id"),
        &accepted["event_id"],
    );
    assert_eq!(status, 202);
    let published = json!({"type": "playlist_saved", "event_id": event, "playlist_id": playlist, "owner_id": ANNA, "name": "Road \u{1f697}"});
    let expected = (
        format!("playlists.{}", rolekeeper_domain::event::partition(playlist)),
        event.as_str().expect("an id").to_owned(),
        published,
    );
    assert_eq!(events(&api).await, [expected]);
    api.world
        .eventually("the playlist is listed", async || {
            !listed(&api, ANNA).await.is_empty()
        })
        .await;
    let row = json!({"playlist_id": playlist, "name": "Road \u{1f697}", "user_id": ANNA, "plays": 0, "featured": false});
    assert_eq!(listed(&api, ANNA).await, [row]);
    assert!(listed(&api, BERT).await.is_empty());

    let feature = json!({"playlist_id": playlist});
    refused(
        &api.send(ANNA, Method::PUT, "/playlists/featured", feature.clone())
            .await,
        403,
        "not_an_editor",
    );
    assert_eq!(api.get(ANNA, "/me").await.json()["greeting"], "USER");
    api.world.publish(&plays("p", playlist, 0..100)).await;
    let greeted = async || api.get(ANNA, "/me").await.json()["greeting"] == "EDITOR";
    api.world.eventually("she is greeted as an editor", greeted).await;
    let me = api.get(ANNA, "/me").await.json();
    assert_eq!(
        (&me["roles"], &me["plan"], &me["user_id"]),
        (&json!(["playlist_editor"]), &json!("gold"), &json!(ANNA))
    );
    assert_eq!(api.world.roles(ANNA), ["dj", "playlist_editor"]);
    let best = api.get(ANNA, "/playlists/getPlays").await;
    assert_eq!(
        (best.text.as_str(), best.header("content-type")),
        ("100", "text/plain; charset=utf-8")
    );
    assert_eq!(api.get(BERT, "/playlists/getPlays").await.text, "0");
    assert_eq!(
        api.send(ANNA, Method::PUT, "/playlists/featured", feature.clone())
            .await
            .status,
        204
    );
    assert_eq!(listed(&api, ANNA).await[0]["featured"], true);
    // Not even an editor can feature another user's playlist.
    api.world.publish(&[saved("s", "pl_bert", BERT)]).await;
    api.world
        .eventually("his is listed", async || !listed(&api, BERT).await.is_empty())
        .await;
    let his = json!({"playlist_id": "pl_bert"});
    refused(
        &api.send(ANNA, Method::PUT, "/playlists/featured", his).await,
        404,
        "not_found",
    );

    let path = format!("/playlists/{playlist}");
    refused(&api.delete(BERT, &path).await, 404, "not_found");
    assert_eq!(api.delete(ANNA, &path).await.status, 202);
    api.world
        .eventually("it is gone", async || listed(&api, ANNA).await.is_empty())
        .await;
    refused(&api.delete(ANNA, &path).await, 404, "not_found");
    assert_eq!(
        events(&api)
            .await
            .last()
            .map(|(_, _, event)| (event["type"].clone(), event["owner_id"].clone())),
        Some((json!("playlist_deleted"), json!(ANNA)))
    );
    assert_eq!(api.get(ANNA, "/playlists/getPlays").await.text, "0");
}

#[tokio::test]
async fn genres_and_names_are_each_users_own() {
    let api = DataApi::start_in(crate::world::World::builder(), &[("API_GENRES", "dub,r&b")]).await;
    api.world.seed_user(ANNA, &[]);
    assert_eq!(api.get(ANNA, "/genres").await.json(), json!(["dub", "r&b"]));
    assert_eq!(api.get(ANNA, "/genres/getFav").await.text, "");
    let got = api
        .send(ANNA, Method::PUT, "/genres/fav", json!({"genre": "polka"}))
        .await;
    assert_eq!(got.json()["genres"], json!(["dub", "r&b"]));
    refused(&got, 422, "invalid");
    assert_eq!(
        api.send(ANNA, Method::PUT, "/genres/fav", json!({"genre": "r&b"}))
            .await
            .status,
        204
    );
    for path in ["/genres/getFav", "/secured/getFavGenre"] {
        let got = api.get(ANNA, path).await;
        assert_eq!(
            (got.text.as_str(), got.header("content-type")),
            ("r&b", "text/plain; charset=utf-8")
        );
        assert_eq!(api.get(BERT, path).await.text, "");
    }
    let name = json!({"displayName": "Änna \u{1f3b5}"});
    let got = api.send(ANNA, Method::PUT, "/displayName", name.clone()).await;
    assert_eq!((got.status, got.json()), (202, name.clone()));
    assert_eq!(api.get(ANNA, "/displayName").await.json(), name);
    assert_eq!(
        api.get(ANNA, "/me").await.json()["display_name"],
        name["displayName"]
    );
    assert_eq!(
        api.get(BERT, "/displayName").await.json(),
        json!({"displayName": null})
    );
    let written = async || {
        api.world
            .tenant
            .user(ANNA)
            .is_some_and(|user| user["user_metadata"] == name)
    };
    api.world.eventually("it is written at the tenant", written).await;
    let metadata = api
        .world
        .tenant
        .user(ANNA)
        .map(|user| user["app_metadata"].clone());
    assert_eq!(metadata, Some(json!({"roles": [], "plan": "gold"})));
    refused(
        &api.send(
            ANNA,
            Method::PUT,
            "/displayName",
            json!({"displayName": "a\u{7}"}),
        )
        .await,
        422,
        "invalid",
    );
}

#[tokio::test]
async fn nobody_passes_the_bounds_not_even_at_once() {
    let api = DataApi::start().await;
    let many = "INSERT INTO songs (song_id, user_id, songname) SELECT 's' || n, 'auth0|anna', 'a' FROM generate_series(1, 9995) AS n";
    sqlx::query(many).execute(&api.world.db).await.expect("rows");
    let add = async || {
        api.send(ANNA, Method::POST, "/songs", json!({"songname": "b"}))
            .await
            .status
    };
    let answers = join_all((0..20).map(|_| add())).await;
    let added = answers.iter().filter(|status| **status == 201).count();
    let refused = answers.iter().filter(|status| **status == 409).count();
    assert_eq!((added, refused), (5, 15));
    assert_eq!(api.world.number("SELECT count(*) FROM songs").await, Some(10_000));
    let many = "INSERT INTO playlists (playlist_id, owner_id, name) SELECT 'p' || n, 'auth0|anna', 'a' FROM generate_series(1, 1000) AS n";
    sqlx::query(many).execute(&api.world.db).await.expect("rows");
    let got = api
        .send(ANNA, Method::POST, "/playlists", json!({"name": "b"}))
        .await;
    self::refused(&got, 409, "limit_reached");
    assert!(events(&api).await.is_empty());
    assert_eq!(
        api.send(BERT, Method::POST, "/songs", json!({"songname": "b"}))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn without_bus_or_database_it_says_503_and_goes_on_later() {
    let builder = crate::world::World::builder().postgres_proxy();
    let api = DataApi::start_in(builder, &[]).await;
    let make = async || {
        api.send(ANNA, Method::POST, "/playlists", json!({"name": "a"}))
            .await
    };
    assert_eq!(make().await.status, 202);
    let unavailable = async || {
        let got = make().await;
        got.status == 503 && got.code() == "unavailable" && !got.header("retry-after").is_empty()
    };
    api.world
        .nats
        .lock()
        .await
        .stop()
        .await
        .expect("nats-server stops");
    api.world.eventually("it reports it", unavailable).await;
    api.world
        .nats
        .lock()
        .await
        .start_again()
        .await
        .expect("nats-server starts");
    api.world
        .eventually("it continues", async || make().await.status == 202)
        .await;

    api.world.postgres_proxy().refuse();
    api.world.postgres_proxy().cut();
    api.world.eventually("it reports it", unavailable).await;
    assert_eq!(api.get(ANNA, "/genres").await.status, 200);
    api.world.postgres_proxy().restore();
    api.world
        .eventually("it continues", async || make().await.status == 202)
        .await;
    let stored = events(&api).await.len();
    api.world
        .eventually("stored messages are counted", async || {
            listed(&api, ANNA).await.len() == stored
        })
        .await;
}
