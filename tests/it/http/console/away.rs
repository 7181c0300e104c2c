//! Postgres or NATS does not respond while a page is open.

use std::time::Duration;

use crate::world::console::{Browser, READ_TOKEN, with_console};
use crate::world::poll;

/// Longest time until a page says that a server is away.
const SAID_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn pages_say_that_postgres_is_away_and_recover() {
    let world = with_console().postgres_proxy().listening().await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let queue = async || browser.get("/console/queue").await;
    assert_eq!(queue().await.status, 200);
    let shown = poll(SAID_WITHIN, async || {
        // A connection made since the last call responds.
        world.postgres_proxy().go_silent();
        let shown = queue().await;
        (shown.status == 503).then_some(shown)
    });
    let shown = shown.await.expect("a page says that Postgres is away");
    assert!(shown.text.contains("role=\"alert\">Postgres"), "{}", shown.text);
    assert!(
        shown.text.contains("http-equiv=\"refresh\""),
        "it loads itself again: {}",
        shown.text
    );
    // New connections respond again; from here on there are none.
    world.postgres_proxy().refuse();
    world
        .eventually("the queue is away", async || queue().await.status == 503)
        .await;
    let pipe = async || browser.page("/console").await;
    let said = async || pipe().await.contains("Postgres does not respond");
    world.eventually("the pipe says so", said).await;
    world.postgres_proxy().restore();
    world
        .eventually("the queue is shown again", async || queue().await.status == 200)
        .await;
    let recovered = async || !pipe().await.contains("Postgres does not respond");
    world.eventually("the pipe recovers", recovered).await;
}

#[tokio::test]
async fn the_pipe_says_that_nats_is_away_and_recovers() {
    let world = with_console().nats_proxy().listening().await;
    let browser = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let away = async || browser.page("/console").await.contains("NATS does not respond");
    world.eventually("NATS responds", async || !away().await).await;
    world.nats_proxy().refuse();
    world.eventually("the pipe says so", away).await;
    assert_eq!(browser.get("/console/queue").await.status, 200);
    world.nats_proxy().restore();
    world
        .eventually("the pipe recovers", async || !away().await)
        .await;
}
