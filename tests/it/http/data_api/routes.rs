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

/// Posts a song and returns the response.
async fn song(api: &DataApi, body: Value) -> Got {
    api.send(ANNA, Method::POST, "/songs", body).await
}

#[tokio::test]
async fn bad_fields_are_refused_and_named() {
    let api = DataApi::start().await;
    let long = "é".repeat(257);
    for (name, why) in [
        ("", "songname"),
        ("  ", "songname"),
        ("a\0b", "songname"),
        (&long, "256"),
    ] {
        let got = song(&api, json!({"songname": name})).await;
        let detail = got.json()["detail"].to_string();
        assert!(detail.contains(why), "{got:?}");
        refused(&got, 422, "invalid");
    }
    let unknown = json!({"songname": "a", "user_id": BERT});
    for body in [
        json!([]),
        json!(["a"]),
        json!({}),
        json!({"songname": 7}),
        unknown,
    ] {
        refused(&song(&api, body).await, 422, "invalid");
    }
    let longest = json!({"songname": "é".repeat(256)});
    assert_eq!(song(&api, longest).await.status, 201);
    assert_eq!(api.world.number("SELECT count(*) FROM songs").await, Some(1));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let api = DataApi::start().await;
    let post = |body: &[u8], kind: &str| {
        let request = api.request(Method::POST, "/songs").bearer_auth(api.token(ANNA));
        DataApi::got(request.header("content-type", kind).body(body.to_vec()))
    };
    for body in [&b"{"[..], b"{\"songname\": \"a\"} x", b"\xff"] {
        refused(&post(body, "application/json").await, 400, "bad_request");
    }
    let text = post(b"{\"songname\": \"a\"}", "text/plain").await;
    refused(&text, 415, "unsupported_media_type");
    let large = post(&vec![b' '; 17 << 10], "application/json").await;
    refused(&large, 413, "too_large");
    assert_eq!(api.world.number("SELECT count(*) FROM songs").await, Some(0));
}

#[tokio::test]
async fn bad_paths_queries_and_methods_are_refused() {
    let api = DataApi::start().await;
    for query in ["limit=0", "limit=101", "limit=x", "after=a.b", "limit=1&limit=2"] {
        let got = api.get(ANNA, &format!("/songs?{query}")).await;
        refused(&got, 400, "bad_request");
    }
    for id in ["a%00b", "%ff"] {
        let got = api.delete(ANNA, &format!("/songs/{id}")).await;
        refused(&got, 400, "bad_request");
    }
    refused(&api.get(ANNA, "/nothing").await, 404, "not_found");
    let got = api.ask(Method::PATCH, "/songs", &api.token(ANNA), None).await;
    assert!(got.header("allow").contains("POST"), "{got:?}");
    refused(&got, 405, "method_not_allowed");
}

/// Creates a playlist of Anna's, waits until it is listed, and returns its id and that of its event.
async fn created(api: &DataApi, name: &str) -> (String, String) {
    let got = api
        .send(ANNA, Method::POST, "/playlists", json!({"name": name}))
        .await;
    assert_eq!(got.status, 202, "{got:?}");
    let id = |field: &str| got.json()[field].as_str().expect("an id").to_owned();
    let is_listed = async || !listed(api, ANNA).await.is_empty();
    api.world.eventually("the playlist is listed", is_listed).await;
    (id("playlist_id"), id("event_id"))
}

/// Lets Anna's playlist reach the threshold and waits until the API knows her as an editor.
async fn promoted(api: &DataApi, playlist: &str) {
    api.world.publish(&plays("p", playlist, 0..100)).await;
    let greeted = async || api.get(ANNA, "/me").await.json()["greeting"] == "EDITOR";
    api.world.eventually("she is greeted as an editor", greeted).await;
}

#[tokio::test]
async fn a_new_playlist_goes_through_the_stream() {
    let api = DataApi::start().await;
    let name = "Road \u{1f697}";
    let (playlist, event) = created(&api, name).await;
    let published = json!({"type": "playlist_saved", "event_id": event, "playlist_id": playlist, "owner_id": ANNA, "name": name});
    let subject = format!("playlists.{}", rolekeeper_domain::event::partition(&playlist));
    assert_eq!(events(&api).await, [(subject, event, published)]);
    let row = json!({"playlist_id": playlist, "name": name, "user_id": ANNA, "plays": 0, "featured": false});
    assert_eq!(listed(&api, ANNA).await, [row]);
    assert!(listed(&api, BERT).await.is_empty());
}

#[tokio::test]
async fn the_role_is_shown_and_so_are_the_plays() {
    let api = DataApi::start().await;
    api.world.seed_user(ANNA, &["dj"]);
    let (playlist, _) = created(&api, "Road").await;
    assert_eq!(api.get(ANNA, "/me").await.json()["greeting"], "USER");
    promoted(&api, &playlist).await;
    let me = api.get(ANNA, "/me").await.json();
    let shown = json!([me["roles"], me["plan"], me["user_id"]]);
    assert_eq!(shown, json!([["playlist_editor"], "gold", ANNA]));
    assert_eq!(api.world.roles(ANNA), ["dj", "playlist_editor"]);
    let best = api.get(ANNA, "/playlists/getPlays").await;
    assert_eq!(best.text, "100");
    assert_eq!(best.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(api.get(BERT, "/playlists/getPlays").await.text, "0");
}

#[tokio::test]
async fn an_editor_features_playlists_of_her_own_alone() {
    let api = DataApi::start().await;
    api.world.seed_user(ANNA, &[]);
    let (playlist, _) = created(&api, "Road").await;
    let feature = async |id: &str| {
        api.send(
            ANNA,
            Method::PUT,
            "/playlists/featured",
            json!({"playlist_id": id}),
        )
        .await
    };
    refused(&feature(&playlist).await, 403, "not_an_editor");
    promoted(&api, &playlist).await;
    assert_eq!(feature(&playlist).await.status, 204);
    assert_eq!(listed(&api, ANNA).await[0]["featured"], true);
    api.world.publish(&[saved("s", "pl_bert", BERT)]).await;
    let his = async || !listed(&api, BERT).await.is_empty();
    api.world.eventually("his is listed", his).await;
    refused(&feature("pl_bert").await, 404, "not_found");
}

#[tokio::test]
async fn a_playlist_is_deleted_by_its_owner_alone() {
    let api = DataApi::start().await;
    let (playlist, _) = created(&api, "Road").await;
    let path = format!("/playlists/{playlist}");
    refused(&api.delete(BERT, &path).await, 404, "not_found");
    assert_eq!(api.delete(ANNA, &path).await.status, 202);
    let gone = async || listed(&api, ANNA).await.is_empty();
    api.world.eventually("it is gone", gone).await;
    refused(&api.delete(ANNA, &path).await, 404, "not_found");
    let (_, _, last) = events(&api).await.pop().expect("an event");
    assert_eq!(
        (&last["type"], &last["owner_id"]),
        (&json!("playlist_deleted"), &json!(ANNA))
    );
    assert_eq!(api.get(ANNA, "/playlists/getPlays").await.text, "0");
}

#[tokio::test]
async fn a_favourite_genre_is_each_users_own() {
    let api = DataApi::start_in(crate::world::World::builder(), &[("API_GENRES", "dub,r&b")]).await;
    assert_eq!(api.get(ANNA, "/genres").await.json(), json!(["dub", "r&b"]));
    assert_eq!(api.get(ANNA, "/genres/getFav").await.text, "");
    let choose = async |genre: &str| {
        api.send(ANNA, Method::PUT, "/genres/fav", json!({"genre": genre}))
            .await
    };
    let got = choose("polka").await;
    assert_eq!(got.json()["genres"], json!(["dub", "r&b"]));
    refused(&got, 422, "invalid");
    assert_eq!(choose("r&b").await.status, 204);
    for path in ["/genres/getFav", "/secured/getFavGenre"] {
        let got = api.get(ANNA, path).await;
        assert_eq!(got.text, "r&b");
        assert_eq!(got.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(api.get(BERT, path).await.text, "");
    }
}

#[tokio::test]
async fn a_display_name_is_shown_at_once_and_written() {
    let api = DataApi::start().await;
    api.world.seed_user(ANNA, &[]);
    let rename = async |name: &Value| api.send(ANNA, Method::PUT, "/displayName", name.clone()).await;
    let name = json!({"displayName": "Änna \u{1f3b5}"});
    let got = rename(&name).await;
    assert_eq!((got.status, got.json()), (202, name.clone()));
    assert_eq!(api.get(ANNA, "/displayName").await.json(), name);
    let me = api.get(ANNA, "/me").await.json();
    assert_eq!(me["display_name"], name["displayName"]);
    let his = api.get(BERT, "/displayName").await.json();
    assert_eq!(his, json!({"displayName": null}));
    let user = || api.world.tenant.user(ANNA).expect("a user");
    let written = async || user()["user_metadata"] == name;
    api.world.eventually("it is written at the tenant", written).await;
    assert_eq!(user()["app_metadata"], json!({"roles": [], "plan": "gold"}));
    let control = json!({"displayName": "a\u{7}"});
    refused(&rename(&control).await, 422, "invalid");
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
