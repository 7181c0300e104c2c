//! Counts that another client of Postgres changed.

use serde_json::json;

use super::{counts, texts, verified, world};
use crate::world::events::{Form, play, plays, retraction, saved};
use crate::world::losses::stop;
use crate::world::oracle::ROLE;
use crate::world::{ANN, World, text};

#[tokio::test]
async fn counts_of_the_fold_do_not_differ() {
    let world = world().start().await;
    world.based().await;
    for (name, count) in [("ann", 120), ("bob", 60), ("cid", 1)] {
        world.played(name, count).await;
    }
    world.retracted("ann", 0..30).await;
    world.settled().await;
    let (result, code) = verified(&world, &["--counts"]).await;
    assert_eq!(code, Some(0), "{result}");
    let counts = &result["counts"];
    assert_eq!(
        (&counts["partitions"], &counts["playlists"]),
        (&json!(64), &json!(3))
    );
    // Three savings, 181 plays, 30 retractions.
    assert_eq!(counts["messages"], 214);
    assert_eq!(counts["not_checked"], json!([]));
    assert_eq!(result["roles"], json!(null));
}

#[tokio::test]
async fn a_count_changed_by_hand_is_found() {
    let world = world().start().await;
    world.based().await;
    world.played("ann", 40).await;
    world.played("bob", 60).await;
    world.settled().await;
    world
        .run_sql("UPDATE playlists SET plays = 5 WHERE playlist_id = 'pl_ann'")
        .await;
    let (result, code) = verified(&world, &["--counts"]).await;
    assert_eq!(code, Some(2));
    let found = &result["counts"]["differences"][0];
    assert_eq!(
        (&found["counted"]["plays"], &found["stored"]["plays"]),
        (&json!(40), &json!(5))
    );
    assert_eq!(
        (&result["counts"]["differing"], &found["playlist_id"]),
        (&json!(1), &json!("pl_ann"))
    );
    let output = world.command(&["verify", "--counts"]).await;
    let said = text(&output);
    assert!(
        said.contains("Counts: 1 differs of 2 playlists in 64 partitions"),
        "{said}"
    );
    assert!(
        said.contains("pl_ann") && said.contains("40 plays") && said.contains("5 plays"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(2));
}

/// Owner, deletion, a missing row and one that no event made.
#[tokio::test]
async fn each_other_change_by_hand_is_found_and_corrected() {
    let world = world().start().await;
    world.based().await;
    for name in ["ann", "bob", "cid", "dan"] {
        world.played(name, 20).await;
    }
    world.settled().await;
    let changes = "UPDATE playlists SET owner_id = 'auth0|bob' WHERE playlist_id = 'pl_ann';
        UPDATE playlists SET deleted = true, plays = 0 WHERE playlist_id = 'pl_bob';
        UPDATE playlists SET changed_ns = 1 WHERE playlist_id = 'pl_cid';
        DELETE FROM playlists WHERE playlist_id = 'pl_dan';
        INSERT INTO playlists (playlist_id, plays, owner_id) VALUES ('forged', 1000, 'auth0|ann')";
    world.run_sql(changes).await;
    let found = counts(&world).await;
    let mut ids = texts(&found["differences"], "playlist_id");
    ids.sort();
    assert_eq!(ids, ["forged", "pl_ann", "pl_bob", "pl_cid", "pl_dan"]);
    let said = world.told(&["rebuild", "--why", "a test"]).await;
    assert!(
        said.contains("5 were corrected, and the owners enqueued"),
        "{said}"
    );
    assert_eq!(counts(&world).await["differing"], 0);
    world
        .run_sql(
            "DELETE FROM playlists WHERE playlist_id = 'forged'; UPDATE playlists SET name = 'Road trip'",
        )
        .await;
    world.settled().await;
}

#[tokio::test]
async fn the_trigger_computes_the_partition_of_the_stream() {
    let world = World::builder().workers(0).start().await;
    let ids = [
        "a",
        "pl_42",
        "37i9dQZF1DX0XUsuxWHRQd",
        "-",
        "Z".repeat(64).as_str(),
    ]
    .map(str::to_owned);
    for id in ids {
        let made = "INSERT INTO playlists (playlist_id) VALUES ($1) RETURNING partition";
        let made: i16 = sqlx::query_scalar(made)
            .bind(&id)
            .fetch_one(&world.db)
            .await
            .expect("a row");
        assert_eq!(
            u32::try_from(made),
            Ok(rolekeeper_domain::event::partition(&id)),
            "{id}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_checked_is_said() {
    let world = World::builder().workers(0).start().await;
    let (result, code) = verified(&world, &["--counts"]).await;
    assert_eq!(code, Some(1));
    let why = texts(&result["counts"]["not_checked"], "why");
    assert_eq!(
        (why.len(), why[0].as_str()),
        (64, "no worker has folded APP_EVENTS yet")
    );
    world.start_worker_with(&[("TRIM_FLOOR", "300ms")]).await;
    world.based().await;
    world.publish(&plays("p", "pl_1", 0..5)).await;
    world.folded().await;
    stop(&world).await;
    world.trim_before(4).await;
    let said = text(&world.command(&["verify", "--counts"]).await);
    assert!(
        said.contains("64 partitions were not checked: the stream begins at message 4, and the base ends before message 1"),
        "{said}"
    );
    let none = world.command(&["rebuild", "--why", "a test"]).await;
    assert_eq!(none.status.code(), Some(1), "{}", text(&none));
    world
        .run_sql("DELETE FROM playlist_bases WHERE partition = 7")
        .await;
    let said = text(&world.command(&["verify", "--counts", "--partition", "7"]).await);
    assert!(said.contains("there is no base yet"), "{said}");
    assert!(said.contains("nothing before a base is checked"), "{said}");
}

#[tokio::test]
async fn a_wrong_count_costs_no_role_once_it_is_corrected() {
    let world = world().start().await;
    world.based().await;
    world.seed_user(ANN, &[]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    world.run_sql("UPDATE playlists SET plays = 1").await;
    world.told(&["rebuild", "--why", "a test"]).await;
    world.publish(&[play("last", "pl_1")]).await;
    world.settled().await;
    assert!(world.has("ann", ROLE));
}

#[tokio::test]
async fn imported_plays_are_no_difference() {
    let world = world().start().await;
    world.based().await;
    world.played("ann", 40).await;
    world.settled().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = crate::world::nats_options::file(&folder, "past.csv", "playlist_id,plays\npl_ann,7\n");
    world.told(&["import", &file]).await;
    world.based().await;
    let (result, code) = verified(&world, &["--counts"]).await;
    assert_eq!(code, Some(0), "{result}");
    assert_eq!(result["counts"]["not_checked"], json!([]));
}

#[tokio::test]
async fn cloud_events_are_counted_again_as_they_were() {
    let world = world().start().await;
    world.based().await;
    let mut events = vec![saved("s", "pl_1", ANN)];
    events.extend(plays("p", "pl_1", 0..20));
    events.push(retraction("r", "p-3", "pl_1"));
    let forms = [Form::Structured, Form::Binary, Form::Plain].into_iter().cycle();
    let events: Vec<_> = events
        .into_iter()
        .zip(forms)
        .map(|(event, form)| event.in_form(form))
        .collect();
    world.seed_user(ANN, &[]);
    world.publish(&events).await;
    world.settled().await;
    let (result, code) = verified(&world, &["--counts"]).await;
    assert_eq!(
        (code, &result["counts"]["messages"]),
        (Some(0), &json!(22)),
        "{result}"
    );
}
