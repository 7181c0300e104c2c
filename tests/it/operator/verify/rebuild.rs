//! Corrected counts, and the roles that follow from them.

use serde_json::{Value, json};

use super::{counts, verified, world};
use crate::world::events::plays;
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{World, text};

const PLAYLISTS: &str = "SELECT playlist_id AS name, plays, deleted, owner_id, saved_again_ns, changed_ns, key, xmin::text FROM playlists ORDER BY 1";

#[tokio::test]
async fn what_is_right_stays_as_it_is() {
    let world = world().start().await;
    world.based().await;
    for (name, count) in [("ann", 120), ("bob", 60)] {
        world.played(name, count).await;
    }
    world.settled().await;
    let before = world.rows(PLAYLISTS).await;
    let said = world.told(&["rebuild", "--why", "ticket 7", "--as", "ops"]).await;
    assert_eq!(
        said,
        "2 playlists in 64 partitions were counted again: nothing differed, and nothing was changed\n"
    );
    assert_eq!(world.rows(PLAYLISTS).await, before);
    let acts = "SELECT acted_by, why, outcome FROM operator_acts WHERE command = 'rebuild'";
    let acts: Vec<Value> = world.rows(acts).await;
    assert_eq!(
        (&acts[0]["acted_by"], &acts[0]["why"]),
        (&"ops".into(), &"ticket 7".into())
    );
    assert_eq!(acts[0]["outcome"], "nothing differed in 64 partitions");
    assert_eq!(world.number("SELECT count(*) FROM rebuild").await, Some(0));
    let no_reason = world.command(&["rebuild"]).await;
    assert_eq!(no_reason.status.code(), Some(1), "{}", text(&no_reason));
}

/// One user lost the role to a count that was changed by hand, another one got it.
#[tokio::test]
async fn roles_follow_the_corrected_counts() {
    let world = world().start().await;
    world.based().await;
    for (name, count) in [("ann", 120), ("bob", 60)] {
        world.played(name, count).await;
    }
    world.settled().await;
    let wrong = "UPDATE playlists SET plays = CASE playlist_id WHEN 'pl_ann' THEN 3 ELSE 500 END";
    world.run_sql(wrong).await;
    let sweep = "INSERT INTO work_queue (user_id, priority) VALUES ('auth0|ann', 0), ('auth0|bob', 1)";
    world.run_sql(sweep).await;
    world
        .holders_are("roles follow the wrong counts", &["ann", "bob"], &["bob"])
        .await;
    let said = world.told(&["rebuild", "--why", "a test"]).await;
    assert!(
        said.contains("2 were corrected, and the owners enqueued"),
        "{said}"
    );
    world
        .holders_are("roles follow the right counts", &["ann", "bob"], &["ann"])
        .await;
    assert_eq!(
        world
            .number("SELECT count(*) FROM operator_acts WHERE command = 'rebuild'")
            .await,
        Some(2)
    );
}

#[tokio::test]
async fn sums_of_all_playlists_are_corrected_too() {
    let rules = RulesFile::new(&rule(ROLE, 100, 100, "of = \"all_playlists\""));
    let world = world().env("RULES_FILE", rules.path().display()).start().await;
    world.based().await;
    world.played("ann", 90).await;
    world.quiet().await;
    world
        .run_sql("UPDATE playlists SET plays = 70; UPDATE owner_totals SET plays = 70")
        .await;
    world.told(&["rebuild", "--why", "a test"]).await;
    assert_eq!(world.number("SELECT plays FROM owner_totals").await, Some(90));
    world.run_sql("UPDATE owner_totals SET plays = 5").await;
    let (result, code) = verified(&world, &["--counts"]).await;
    let found = json!([{"user_id": "auth0|ann", "counted": 90, "stored": 5}]);
    assert_eq!(
        (&result["sums"]["differences"], code),
        (&found, Some(2)),
        "{result}"
    );
    let said = world.told(&["rebuild", "--why", "a test"]).await;
    assert!(
        said.contains("the sums of 1 user; the users are enqueued"),
        "{said}"
    );
    let (_, code) = verified(&world, &["--counts"]).await;
    assert_eq!(code, Some(0));
    world.publish(&plays("more", "pl_ann", 0..10)).await;
    world
        .eventually("the role is there", async || world.has("ann", ROLE))
        .await;
}

/// Plays arrive all the time: none is lost, and none counts twice.
#[tokio::test]
async fn counting_goes_on_meanwhile() {
    let world = world().env("FOLD_BATCH", 20).start().await;
    world.based().await;
    world.played("ann", 10).await;
    world.settled().await;
    let publish = async {
        for n in 0..40 {
            world.publish(&plays(&format!("m{n}"), "pl_ann", 0..25)).await;
        }
    };
    let rebuild = async {
        for wrong in [
            "UPDATE playlists SET plays = plays + 7",
            "UPDATE playlists SET plays = 0, deleted = true",
            "UPDATE playlists SET owner_id = 'auth0|bob'",
        ] {
            world.run_sql(wrong).await;
            world.told(&["rebuild", "--why", "a test"]).await;
        }
    };
    tokio::join!(publish, rebuild);
    world.settled().await;
    assert_eq!(counts(&world).await["differing"], 0);
}

#[tokio::test]
async fn no_attempt_begins_while_counts_are_corrected() {
    let world = World::builder()
        .nats_proxy()
        .env("TRIM_FLOOR", "300ms")
        .start()
        .await;
    world.based().await;
    world.played("ann", 40).await;
    world.settled().await;
    world.nats_proxy().hold(b"CONSUMER.CREATE.APP_EVENTS");
    let mut run = world.begin_command(&["rebuild", "--why", "a test"]);
    let held = async || world.nats_proxy().held() > 0;
    world.eventually("a request is held", held).await;
    assert_eq!(
        world
            .number("SELECT count(*) FROM rebuild WHERE holds_until > now()")
            .await,
        Some(1)
    );
    let calls = world.calls_of("auth0|ann").len();
    let enqueue = "INSERT INTO work_queue (user_id, priority, force_fetch) VALUES ('auth0|ann', 0, true)";
    world.run_sql(enqueue).await;
    assert_eq!(world.calls_of("auth0|ann").len(), calls);
    world.nats_proxy().let_go();
    let (succeeded, said) = run.ended().await;
    assert!(succeeded, "{said}");
    let read = async || world.calls_of("auth0|ann").len() > calls;
    world.eventually("the attempt begins afterwards", read).await;
}
