//! Retractions: how long they are remembered, and counts below 0.
//!
//! F20: a retraction before its play, twice, of an unknown event, below zero: as documented, and no negative count is shown.

use serde_json::{Value, json};

use crate::world::console::{Browser, READ_TOKEN, with_console};
use crate::world::data_api::DataApi;
use crate::world::events::{deleted, plays, retraction, saved};
use crate::world::{ANN, World, text};

const LEFT: &str = "SELECT count(*) FROM retractions";
const PLAYS: &str = "SELECT plays FROM playlists WHERE playlist_id = 'pl_1'";
const BELOW_ZERO: &str = "rolekeeper_retractions_below_zero_total";

async fn run(world: &World, statement: &'static str) {
    let done = sqlx::query(statement).execute(&world.db).await;
    done.expect("Postgres responds");
}

#[tokio::test]
async fn retractions_go_after_the_streams_age_and_not_before() {
    let world = World::builder()
        .workers(0)
        .env("ONLY", "fold")
        .env("TRIM_FLOOR", "300ms")
        .start()
        .await;
    // The stream keeps 30 days, and drops repeats for 10 minutes.
    run(
        &world,
        "INSERT INTO retractions (retracted_id, counted_at)
         SELECT 'old_' || n, now() - interval '30 days 11 minutes' FROM generate_series(1, 12000) AS n
         UNION ALL SELECT 'young', now() - interval '30 days 8 minutes'",
    )
    .await;
    world.start_worker().await;
    world
        .eventually("the old ones are removed", async || {
            world.number(LEFT).await == Some(1)
        })
        .await;
    world.publish(&[retraction("r", "p-1", "pl_1")]).await;
    world
        .eventually("a new one is kept", async || world.number(LEFT).await == Some(2))
        .await;
}

#[tokio::test]
async fn f20_a_count_below_0_is_told_of_and_can_be_forgiven() {
    let world = World::builder().env("ONLY", "fold").start().await;
    // A filter for bots over last year's plays, which were never counted here.
    let bots: Vec<_> = (0..30)
        .map(|n| retraction(&format!("r{n}"), &format!("bot-{n}"), "pl_1"))
        .collect();
    world.publish(&bots).await;
    world
        .eventually("all are folded", async || world.number(PLAYS).await == Some(-30))
        .await;
    let told = world.worker().count(BELOW_ZERO).await;
    assert!(told.is_some_and(|told| told > 0), "{told:?}");
    world.publish(&plays("p", "pl_2", 0..3)).await;
    let unnamed = world.command(&["forgive", "--why", "bots"]).await;
    assert!(!unnamed.status.success());
    let forgiven = world
        .command(&["forgive", "--all", "--why", "bots of last year"])
        .await;
    assert!(
        text(&forgiven).contains("1 playlist was below 0"),
        "{}",
        text(&forgiven)
    );
    world.publish(&plays("q", "pl_1", 0..100)).await;
    world
        .eventually("a hundred plays are a hundred", async || {
            world.number(PLAYS).await == Some(100)
        })
        .await;
}

#[tokio::test]
async fn f20_a_count_below_0_is_shown_as_0() {
    let api = DataApi::start_in(with_console(), &[]).await;
    let world = &api.world;
    world.seed_user(ANN, &[]);
    world.publish(&[saved("s1", "pl_1", ANN)]).await;
    world.publish(&plays("p", "pl_1", 0..1)).await;
    let unknown = (0..4).map(|n| retraction(&format!("r{n}"), &format!("unknown-{n}"), "pl_1"));
    world.publish(&unknown.collect::<Vec<_>>()).await;
    world.settled().await;
    assert_eq!(world.number(PLAYS).await, Some(-3));
    let listed = api.get(ANN, "/playlists").await.json();
    assert_eq!(listed[0]["plays"], 0, "{listed}");
    assert_eq!(api.get(ANN, "/playlists/getPlays").await.text, "0");
    let explained = world.told(&["explain", ANN, "--json"]).await;
    let explained: Value = serde_json::from_str(&explained).expect("JSON");
    let list = &explained["playlists"]["most_played"][0];
    assert_eq!(
        (&explained["roles"][0]["plays"], &list["plays"]),
        (&json!(0), &json!(0))
    );
    let browser = Browser::signed_in(&world.workers()[0], "ann", READ_TOKEN).await;
    let page = browser
        .page("/console/counts?user=auth0%7Cann&playlist=pl_1")
        .await;
    assert!(page.contains("The count over time, 0 at its end"), "{page}");
}

/// With remembered ids, a retraction of a play that was counted in an earlier life, or not at all since the playlist
/// was deleted, does not lower the present count.
#[tokio::test]
async fn f20_retractions_of_an_earlier_life_change_nothing() {
    let world = World::builder()
        .env("ONLY", "fold")
        .env("DEDUP_WINDOW", "1h")
        .start()
        .await;
    let folded = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
    let retract = |name: &str, numbers: std::ops::Range<u32>| -> Vec<_> {
        let one = |n| retraction(&format!("r-{name}-{n}"), &format!("{name}-{n}"), "pl_1");
        numbers.map(one).collect()
    };
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("first", "pl_1", 0..20)).await;
    world.publish(&[deleted("d1", "pl_1")]).await;
    world.publish(&plays("between", "pl_1", 0..5)).await;
    world
        .eventually("the first life is over", async || {
            world.number(folded).await == Some(27)
        })
        .await;
    world.publish(&[saved("s2", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("second", "pl_1", 0..10)).await;
    let past = [
        retract("first", 0..15),
        retract("between", 0..5),
        retract("second", 0..3),
    ];
    world.publish(&past.concat()).await;
    world
        .eventually("all is folded", async || world.number(folded).await == Some(61))
        .await;
    assert_eq!(world.number(PLAYS).await, Some(7));
    // A retraction that comes before its play still counts.
    world.publish(&retract("late", 0..1)).await;
    world.publish(&plays("late", "pl_1", 0..1)).await;
    world
        .eventually("both are folded", async || world.number(folded).await == Some(63))
        .await;
    assert_eq!(world.number(PLAYS).await, Some(7));
}
