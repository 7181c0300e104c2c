//! The pages show what the commands show, page by page.

use serde_json::Value;

use crate::world::console::{Browser, READ_TOKEN, with_console};
use crate::world::events::{play, poison};
use crate::world::{ANN, World};

use super::{engaged, still};

async fn json(world: &World, command: &[&str]) -> Value {
    serde_json::from_str(&world.told(command).await).expect("JSON")
}

#[tokio::test]
async fn the_page_of_a_user_says_what_explain_says() {
    let world = with_console().start().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let answer = browser.get("/console/users?q=auth0%7Cann").await;
    assert_eq!(
        (answer.status, answer.location()),
        (303, "/console/user?id=auth0%7Cann")
    );
    let page = browser.page("/console/user?id=auth0%7Cann").await;
    let explained = json(&world, &["explain", ANN, "--json"]).await;
    for list in ["/roles/0/why", "/waits", "/not_known"] {
        let sentences = explained
            .pointer(list)
            .and_then(Value::as_array)
            .expect("sentences");
        for sentence in sentences {
            let sentence = sentence
                .as_str()
                .expect("a text")
                .replace('\'', "&#39;")
                .replace('"', "&#34;");
            assert!(page.contains(&sentence), "{sentence}\n{page}");
        }
    }
}

#[tokio::test]
async fn the_page_of_the_brakes_says_what_the_command_says() {
    let world = engaged().await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let page = browser.page("/console/brakes").await;
    let brakes = json(&world, &["brake", "--json"]).await;
    assert_eq!(brakes["brakes"][0]["engaged_at"], "2026-11-23T10:00:00Z");
    assert_eq!(brakes["brakes"][0]["held"]["number"], 25);
    let first = brakes["brakes"][0]["first"].as_array().expect("held users");
    assert_eq!(first.len(), 20);
    for held in first {
        assert_eq!(held["roles"][0], "-playlist_editor");
        assert!(page.contains(held["user_id"].as_str().expect("an id")), "{held}");
    }
}

#[tokio::test]
async fn held_users_without_a_decided_role_are_shown_too() {
    let world = still().await;
    world
        .run_sql(
            "INSERT INTO work_queue (user_id, priority, held_by) SELECT 'auth0|h' || lpad(n::text, 2, '0'), 1, 'brake_grants' FROM generate_series(1, 45) AS n;
             UPDATE brakes SET engaged_at = '2026-11-23 10:00Z', changes = 45, holders = 100 WHERE change = 'granted'",
        )
        .await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let mut path = "/console/brakes".to_owned();
    let mut shown = Vec::new();
    for _ in 0..3 {
        let page = browser.page(&path).await;
        shown.push((
            page.matches("decided again</bdi>").count(),
            page.contains("More held users"),
        ));
        let last = format!("h{:02}", shown.iter().map(|(users, _)| users).sum::<usize>());
        path = format!("/console/brakes?kind=grants&after=auth0%7C{last}");
    }
    assert_eq!(shown, [(20, true), (20, true), (5, false)]);
    let said = world.told(&["brake"]).await;
    assert!(
        said.contains("auth0|h20  decided again") && said.contains("and 25 more"),
        "{said}"
    );
}

#[tokio::test]
async fn an_unknown_user_and_a_bad_id_are_named() {
    let world = still().await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let unknown = browser.get("/console/user?id=auth0%7Cnobody").await;
    assert_eq!(unknown.status, 404);
    assert!(
        unknown
            .text
            .contains("auth0|nobody: unknown: no playlist, role, attempt or profile"),
        "{}",
        unknown.text
    );
    for bad in ["", "a%00b", &"x".repeat(300)] {
        assert_eq!(
            browser.get(&format!("/console/user?id={bad}")).await.status,
            400,
            "{bad}"
        );
    }
    assert_eq!(browser.get("/console/users?q=a%00b").await.status, 400);
    let none = browser.page("/console/users?q=zzz").await;
    assert!(none.contains("No stored id begins with"), "{none}");
    assert_eq!(browser.get("/console/unknown").await.status, 404);
}

#[tokio::test]
async fn a_search_for_one_letter_is_a_page_of_an_index() {
    let world = still().await;
    world
        .run_sql(
            "INSERT INTO users (user_id) SELECT 'auth0|' || lpad(n::text, 8, '0') FROM generate_series(1, 100000) AS n;
             INSERT INTO playlists (playlist_id, owner_id) SELECT 'pl_' || n, 'auth0|' || lpad((n / 1000 * 7)::text, 9, '0') FROM generate_series(1, 50000) AS n;
             ANALYZE users, playlists",
        )
        .await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let (mut path, mut seen) = ("/console/users?q=a".to_owned(), Vec::new());
    for _ in 0..3 {
        let page = browser.page(&path).await;
        let ids = page.split("<li><a href=\"/console/user?id=").skip(1);
        seen.extend(ids.map(|rest| rest.split('"').next().expect("an id").to_owned()));
        let next = page.split("href=\"/console/users?").nth(1).expect("a next page");
        path = format!(
            "/console/users?{}",
            next.split('"').next().expect("its address").replace("&#38;", "&")
        );
    }
    let expected = world
        .rows("SELECT user_id FROM (SELECT user_id FROM users UNION SELECT owner_id FROM playlists) AS a ORDER BY user_id LIMIT 150")
        .await;
    let expected: Vec<String> = expected
        .iter()
        .map(|row| row["user_id"].as_str().expect("an id").replace('|', "%7C"))
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_queue_and_the_parked_are_shown_page_by_page() {
    let world = still().await;
    world
        .run_sql(
            "INSERT INTO work_queue (user_id, priority, due_at) SELECT 'auth0|q' || lpad(n::text, 3, '0'), 1, now() FROM generate_series(1, 60) AS n;
             INSERT INTO work_queue (user_id, priority, parked_at, attempts, last_error)
             SELECT 'auth0|p' || lpad(n::text, 3, '0'), 1, now(), 3, 'odd' FROM generate_series(1, 60) AS n",
        )
        .await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let rows = |page: &str, id: &str| page.matches(&format!("/console/user?id=auth0%7C{id}")).count();
    let queue = browser.page("/console/queue").await;
    assert_eq!((rows(&queue, "p"), rows(&queue, "q")), (50, 20), "{queue}");
    let next = browser.page("/console/queue?after=auth0%7Cp050").await;
    assert_eq!((rows(&next, "p"), rows(&next, "q")), (10, 40 + 20), "{next}");
    let parked = browser.page("/console/parked").await;
    assert_eq!(rows(&parked, "p"), 50);
    let next = parked
        .split("href=\"/console/parked?")
        .nth(1)
        .expect("a next page");
    let next = next.split('"').next().expect("its address").replace("&#38;", "&");
    assert_eq!(
        rows(&browser.page(&format!("/console/parked?{next}")).await, "p"),
        10
    );
}

#[tokio::test]
async fn letters_and_rules_are_shown() {
    let world = with_console().start().await;
    let odd = play("p-odd", "pl_1").with("type", "odd").poisoned("unknown_type");
    world.publish(&[poison("a", "pl_1", "{", "not_json"), odd]).await;
    world
        .count_is("both are kept", "SELECT count(*) FROM dead_letters", 2)
        .await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let all = browser.page("/console/dead-letters").await;
    assert!(
        all.contains("not_json") && all.contains("unknown event type"),
        "{all}"
    );
    let one = browser
        .page("/console/dead-letters?stream=APP_EVENTS&reason=not_json")
        .await;
    assert!(
        one.contains("Waiting letters with this reason") && !one.contains("unknown event type"),
        "{one}"
    );
    let page = browser.page("/console/rules").await;
    let rules = json(&world, &["rules", "show", "--json"]).await;
    let fingerprint = rules["in_force"]["fingerprint"].as_str().expect("a text");
    assert!(
        page.contains(fingerprint) && page.contains("grant_at = 100"),
        "{page}"
    );
}

#[tokio::test]
async fn an_open_page_is_told_of_each_reading() {
    let world = still().await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let address = world.worker().address("OPS_LISTEN").await;
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = http
        .get(format!("http://{address}/console/events"))
        .header("cookie", &browser.cookie);
    let mut events = request.send().await.expect("a response");
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while text.matches("data: read").count() < 3 {
        let part = events
            .chunk()
            .await
            .expect("it goes on")
            .expect("it has not ended");
        text.push_str(&String::from_utf8_lossy(&part));
    }
    let page = browser.page("/console").await;
    assert!(page.contains("rates over the last"), "{page}");
}
