//! The person's data: the data API by the time of the token, export and erasure over all ids.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::data_api::DataApi;
use crate::world::erasure::KEY;
use crate::world::events::saved;
use crate::world::persons::{ANN, GOOGLE};
use crate::world::{World, text};

/// A token of the linked id, issued this many seconds from now.
fn token(api: &DataApi, user: &str, from_now: i64) -> String {
    let mut claims = api.claims(user);
    let now = claims["iat"].as_i64().expect("a time");
    claims["iat"] = (now + from_now).into();
    api.rsa.token(&api.rsa.header("rsa"), &claims)
}

async fn playlists(api: &DataApi, token: &str) -> Vec<Value> {
    let got = api.ask(Method::GET, "/playlists", token, None).await;
    assert_eq!(got.status, 200, "{got:?}");
    let lists = got.json().as_array().expect("a list").clone();
    lists.iter().map(|list| list["playlist_id"].clone()).collect()
}

/// Both ids own a playlist, and are linked.
async fn linked() -> DataApi {
    let api = DataApi::start().await;
    let world = &api.world;
    world.seed_user(ANN, &[]);
    world.seed_user(GOOGLE, &[]);
    world
        .publish(&[saved("s-1", "pl_ann", ANN), saved("s-2", "pl_google", GOOGLE)])
        .await;
    let url = format!("http://{}/auth0/logs", world.workers()[0].address("LISTEN").await);
    let stream = rolekeeper_sandbox::tenant::LogStream::to(url, crate::world::LOG_TOKEN);
    world.tenant.stream_logs(stream).unwrap();
    world.tenant.login(ANN).unwrap();
    world.link();
    world.linked(1).await;
    world.quiet().await;
    api
}

#[tokio::test]
async fn h1_tokens_open_the_person_by_the_time_of_issue() {
    let api = linked().await;
    let both = [json!("pl_ann"), json!("pl_google")];
    assert_eq!(playlists(&api, &token(&api, ANN, 0)).await, both);
    assert_eq!(playlists(&api, &token(&api, GOOGLE, -60)).await, both);
    let (me, path) = (token(&api, GOOGLE, -60), "/me");
    assert_eq!(api.ask(Method::GET, path, &me, None).await.json()["user_id"], ANN);
    let reads = api.world.calls_of(ANN).len();
    let later = token(&api, GOOGLE, 60);
    assert_eq!(playlists(&api, &later).await, [json!("pl_google")]);
    api.world
        .eventually("the account is read again", async || {
            api.world.calls_of(ANN).len() > reads
        })
        .await;
}

#[tokio::test]
async fn a_moved_id_opens_the_person_for_earlier_tokens_alone() {
    let api = linked().await;
    let (world, old) = (&api.world, "auth0|old");
    world.publish(&[saved("s-3", "pl_old", old)]).await;
    world.quiet().await;
    world.told(&["move", old, ANN, "--why", "made again"]).await;
    world.linked(2).await;
    let all = [json!("pl_ann"), json!("pl_google"), json!("pl_old")];
    assert_eq!(playlists(&api, &token(&api, ANN, 0)).await, all);
    assert_eq!(playlists(&api, &token(&api, old, -60)).await, all);
    world.quiet().await;
    let reads = world.calls_of(ANN).len();
    for _ in 0..2 {
        assert_eq!(playlists(&api, &token(&api, old, 60)).await, [json!("pl_old")]);
    }
    assert_eq!(playlists(&api, &token(&api, old, -60)).await, all);
    world.quiet().await;
    assert_eq!(world.calls_of(ANN).len(), reads, "nothing is read because of it");
}

#[tokio::test]
async fn h1_an_unlink_record_ends_the_access_at_once() {
    let api = linked().await;
    let world = &api.world;
    world.command(&["pause", "--why", "a story"]).await;
    world.unlink();
    let doubted = "SELECT count(*) FROM identities WHERE doubted";
    world.count_is("the record is folded", doubted, 1).await;
    let old = token(&api, GOOGLE, -60);
    assert_eq!(playlists(&api, &old).await, [json!("pl_google")]);
    world.command(&["resume", "--why", "a story"]).await;
    world.linked(0).await;
    assert_eq!(playlists(&api, &old).await, [json!("pl_google")]);
    assert_eq!(playlists(&api, &token(&api, ANN, 0)).await, [json!("pl_ann")]);
}

#[tokio::test]
async fn h1_the_primary_changes_data_of_the_linked_id() {
    let api = linked().await;
    let body = json!({"songname": "One"});
    api.world
        .run_sql("INSERT INTO songs (song_id, user_id, songname) VALUES ('s_old', 'google-oauth2|7', 'Old')")
        .await;
    assert_eq!(api.send(ANN, Method::POST, "/songs", body).await.status, 201);
    assert_eq!(
        api.get(ANN, "/songs").await.json().as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(api.delete(ANN, "/songs/s_old").await.status, 204);
    assert_eq!(api.delete(ANN, "/playlists/pl_google").await.status, 202);
    let token = token(&api, ANN, 0);
    api.world
        .eventually("the playlist of the linked id is deleted", async || {
            playlists(&api, &token).await == [json!("pl_ann")]
        })
        .await;
}

#[tokio::test]
async fn h1_export_shows_all_ids_and_erase_leaves_none() {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.connect_log_stream().await;
    world.two_accounts_here().await;
    world.link();
    world
        .eventually("the role has moved", async || {
            world.roles(ANN).len() == 2 && world.is_quiet().await
        })
        .await;
    let export: Value = serde_json::from_str(&world.told(&["export", GOOGLE]).await).unwrap();
    assert_eq!(export["tables"]["identities"][0]["primary_id"], ANN);
    assert_eq!(export["tables"]["playlists"][0]["owner_id"], GOOGLE);
    assert_eq!(export["tables"]["assignments"][0]["user_id"], ANN);
    world.tenant.silence(true);
    assert!(world.tenant.delete_user(ANN));
    let erased = world.command(&["erase", GOOGLE]).await;
    assert!(
        text(&erased).contains(ANN) && text(&erased).contains(GOOGLE),
        "{}",
        text(&erased)
    );
    for user in [ANN, GOOGLE] {
        let left = world.command(&["export", user]).await;
        assert_eq!(left.status.code(), Some(1), "{}", text(&left));
    }
    world.publish(&[saved("s-late", "pl_late", GOOGLE)]).await;
    world.quiet().await;
    assert_eq!(
        world
            .number("SELECT count(*) FROM playlists WHERE owner_id IS NOT NULL")
            .await,
        Some(0)
    );
}
