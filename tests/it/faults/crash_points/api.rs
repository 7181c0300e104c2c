//! Writes of the data API, whose client loses the connection to a dead worker and repeats the request.

use reqwest::Method;
use serde_json::{Value, json};

use super::run::Orders;
use super::table;
use crate::world::data_api::{ANNA, DataApi};
use crate::world::events::{Form, Sent};
use crate::world::oracle::ROLE;
use crate::world::{APP_EVENTS, World};

const ALIAS: &str = "google-oauth2|7";

/// A request of a user, and the status of a success.
struct Request {
    user: &'static str,
    method: Method,
    path: String,
    body: Value,
}

/// The request that passes the point.
async fn request(api: &DataApi, point: &str) -> Request {
    let (user, method, path, body) = match point {
        "store::songs::added" => (
            ANNA,
            Method::POST,
            "/songs".to_owned(),
            json!({"songname": "One"}),
        ),
        "store::songs::removed" => {
            let added = api
                .send(ANNA, Method::POST, "/songs", json!({"songname": "Two"}))
                .await;
            let id = added.json()["song_id"].as_str().unwrap_or_default().to_owned();
            (ANNA, Method::DELETE, format!("/songs/{id}"), Value::Null)
        }
        "store::user_data::genre_chosen" => (
            ANNA,
            Method::PUT,
            "/genres/fav".to_owned(),
            json!({"genre": "jazz"}),
        ),
        "store::display_names::requested" => (
            ANNA,
            Method::PUT,
            "/displayName".to_owned(),
            json!({"displayName": "Anna"}),
        ),
        "store::featured_playlists::featured" => (
            ANNA,
            Method::PUT,
            "/playlists/featured".to_owned(),
            json!({"playlist_id": "pl_anna"}),
        ),
        "store::identities::read_first" => {
            let linked = "INSERT INTO identities (alias, primary_id, since) VALUES ('google-oauth2|7', 'auth0|anna', now() - interval '1 hour')";
            api.world.run_sql(linked).await;
            (ALIAS, Method::GET, "/songs".to_owned(), Value::Null)
        }
        _ => (
            ANNA,
            Method::POST,
            "/playlists".to_owned(),
            json!({"name": "Road trip"}),
        ),
    };
    Request {
        user,
        method,
        path,
        body,
    }
}

/// Sends it; the status, none without a response.
async fn sent(api: &DataApi, request: &Request) -> Option<u16> {
    let sent = api.request(request.method.clone(), &request.path);
    let sent = sent.bearer_auth(api.token(request.user));
    let sent = if request.body.is_null() {
        sent
    } else {
        sent.json(&request.body)
    };
    Some(sent.send().await.ok()?.status().as_u16())
}

/// Tells the oracle the events that the API published.
async fn learn(world: &World) {
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    for seq in 102..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(seq).await.expect("nothing is deleted");
        let id = message.headers.get("Nats-Msg-Id").expect("an id").to_string();
        let sent = Sent {
            id,
            subject: message.subject.to_string(),
            payload: message.payload.to_vec(),
            form: Form::Plain,
            poison: None,
        };
        world.oracle().stored(seq, sent);
    }
}

#[tokio::test]
async fn kills_while_the_data_api_writes() {
    let orders = Orders::new();
    let builder = World::builder().nats_proxy().env("AUTH0_TIMEOUT_S", 1);
    let mut api = DataApi::start_in(builder, &[("CRASH_POINT", &orders.setting())]).await;
    api.world.seed_user(ANNA, &["mentor"]);
    api.world.seed_user(ALIAS, &[]);
    api.world.earn(ANNA, "pl_anna").await;
    api.world.settled().await;
    assert_eq!(api.world.roles(ANNA), ["mentor", ROLE]);
    let mut faults = Vec::new();
    for point in table::points_of("the data API") {
        let request = request(&api, point).await;
        orders.give(point, "kill");
        api.worker.may_end();
        if point.ends_with("given_back") {
            api.world.nats_proxy().refuse();
        }
        let status = sent(&api, &request).await;
        api.world.nats_proxy().restore();
        if !orders.done() {
            faults.push(format!("{point}: not reached: {status:?}"));
            orders.withdraw();
            continue;
        }
        api.start_again().await;
        let again = sent(&api, &request).await;
        // A song that was deleted is there no more.
        if status.is_some()
            || !again.is_some_and(|again| again < 300 || (again == 404 && point.ends_with("removed")))
        {
            faults.push(format!("{point}: {status:?}, then {again:?}"));
        }
        learn(&api.world).await;
        api.world.quiet().await;
        let wrong = api.world.differences().await;
        faults.extend(wrong.into_iter().map(|wrong| format!("{point}: {wrong}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
