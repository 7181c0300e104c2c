//! The commands that show what pages show: pipe, changes and queue.

use serde_json::Value;

use super::still;
use crate::world::console::{Browser, READ_TOKEN, with_console};
use crate::world::{ANN, World};

async fn json(world: &World, command: &[&str]) -> Value {
    serde_json::from_str(&world.told(command).await).expect("JSON")
}

/// Whether no line but sentences is wider than a narrow terminal.
fn is_narrow(said: &str) -> bool {
    let mut lines = said.lines().filter(|line| !line.ends_with('.'));
    lines.all(|line| line.chars().count() <= 40)
}

#[tokio::test]
async fn the_command_pipe_says_what_its_page_says() {
    let world = still().await;
    world.told(&["pause", "--why", "a <test>"]).await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let stops = "Attempts and writes are paused";
    let paused = async || browser.page("/console").await.contains(stops);
    world.eventually("the page has read the pause", paused).await;
    let (page, said) = (browser.page("/console").await, world.told(&["pipe"]).await);
    assert!(
        said.contains(stops) && said.contains("rates over the last 2 s"),
        "{said}"
    );
    assert!(is_narrow(&said), "{said}");
    let pipe = json(&world, &["pipe", "--json"]).await;
    let stages = pipe["stages"].as_array().expect("stages");
    assert_eq!(stages.len(), 7);
    for name in [
        "APP_EVENTS",
        "fold of AUTH0_LOGS",
        "work queue",
        "0 messages wait",
        "0 parked, 0 held",
    ] {
        assert!(page.contains(name) && said.contains(name), "{name}: {said}");
    }
    let said = world
        .command_with(&["pipe"], &[("NATS_URL", "nats://127.0.0.1:1")])
        .await;
    let said = crate::world::text(&said);
    assert!(
        said.contains("NATS does not respond") && said.contains("no data"),
        "{said}"
    );
}

#[tokio::test]
async fn the_command_changes_says_what_its_page_says() {
    let world = with_console().start().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let title = "Last hour: 1 grant and 0 revokes decided";
    let page = browser.page("/console/changes?period=hour").await;
    let said = world.told(&["changes", "--period", "hour"]).await;
    assert!(page.contains(title) && said.starts_with(title), "{said}");
    assert!(is_narrow(said.split_once('\n').expect("a table").1), "{said}");
    let changes = json(&world, &["changes", "--period", "hour", "--json"]).await;
    let spans = changes["spans"].as_array().expect("spans");
    let granted: i64 = spans
        .iter()
        .filter_map(|span| span["granted"]["number"].as_i64())
        .sum();
    let decided = "SELECT count(*) FROM role_changes WHERE change = 'granted'";
    assert_eq!((Some(granted), spans.len()), (world.number(decided).await, 60));
    let refused = world.command(&["changes", "--period", "year"]).await;
    assert_eq!(refused.status.code(), Some(1));
}

#[tokio::test]
async fn the_command_queue_says_what_its_page_says() {
    let world = still().await;
    world
        .run_sql(
            "INSERT INTO work_queue (user_id, priority, due_at) SELECT 'auth0|q' || lpad(n::text, 3, '0'), 1, now() FROM generate_series(1, 60) AS n;
             INSERT INTO work_queue (user_id, priority, parked_at, attempts, last_error) VALUES ('auth0|p', 0, now(), 3, E'o\\u001bdd')",
        )
        .await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let page = browser.page("/console/queue").await;
    let queue = json(&world, &["queue", "--json"]).await;
    let ids = |list: &str| -> Vec<String> {
        let users = queue[list].as_array().expect("users").iter();
        users
            .map(|one| one["user_id"].as_str().expect("an id").to_owned())
            .collect()
    };
    let linked = |id: &str| page.matches(&format!("id={}\"", id.replace('|', "%7C"))).count();
    let both = [ids("next"), ids("page")].concat();
    assert_eq!((both.len(), &queue["more"]), (70, &Value::Bool(true)));
    let expected = |id: &str| both.iter().filter(|one| *one == id).count();
    assert!(both.iter().all(|id| linked(id) == expected(id)), "{page}");
    let said = world.told(&["queue", "--limit", "1"]).await;
    let parked = "auth0|p: parked, due at";
    assert!(
        said.contains(parked) && said.contains("failed attempts: 3, the last: o dd"),
        "{said}"
    );
    assert!(
        said.contains("in the queue: 61") && said.contains("--after 'auth0|p'"),
        "{said}"
    );
}
