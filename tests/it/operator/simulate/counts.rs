//! Counts at the start of a history: deletions, repeats, dead letters, and messages that are not folded.

use serde_json::{Value, json};

use super::{crossings, proposed, says, simulated};
use crate::world::events::{Form, deleted, play, plays, poison, retraction, saved};
use crate::world::{ANN, World, user};

#[tokio::test]
async fn an_empty_stream_has_nothing_to_replay() {
    let world = World::builder().workers(0).start().await;
    let simulation = simulated(&world, &proposed(10, 10), &[]).await;
    assert_eq!(simulation["users"], json!([]));
    assert_eq!(simulation["history"]["messages"], 0);
    assert!(
        says(&simulation, "The stream keeps no message of that time"),
        "{simulation}"
    );
    // All messages were trimmed.
    let world = World::start().await;
    world.played("ann", 20).await;
    world.settled().await;
    world.trim_before(22).await;
    let simulation = simulated(&world, &proposed(10, 10), &[]).await;
    assert_eq!(simulation["users"], json!([]));
    assert!(
        says(&simulation, "The stream keeps no message of that time"),
        "{simulation}"
    );
}

#[tokio::test]
async fn messages_that_are_not_folded_count_forward() {
    let world = World::builder().workers(0).start().await;
    world.played("ann", 12).await;
    let simulation = simulated(&world, &proposed(10, 10), &["--history", "1"]).await;
    let found: Vec<_> = crossings(&simulation["users"][0])
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(found, ["ann-9"]);
    assert!(says(&simulation, "all counts begin at 0"), "{simulation}");
}

#[tokio::test]
async fn messages_that_count_nothing_are_counted_by_reason() {
    let world = World::start().await;
    world.played("ann", 9).await;
    let unknown = play("u", "pl_ann")
        .with("type", "play_paused")
        .poisoned("unknown_type");
    let bad = poison("b", "pl_ann", "nonsense", "not_json");
    world.publish(&[unknown, bad, play("last", "pl_ann")]).await;
    world.settled().await;
    let simulation = simulated(&world, &proposed(10, 10), &[]).await;
    let dead = json!({"not_json": 1, "unknown_type": 1});
    assert_eq!(simulation["dead_letters"], dead);
    assert_eq!(crossings(&simulation["users"][0])[0].0, "last");
}

#[tokio::test]
async fn a_repeated_retraction_counts_once() {
    let world = World::start().await;
    world.played("ann", 12).await;
    world.publish(&[retraction("r1", "ann-0", "pl_ann")]).await;
    world.settled().await;
    // The first retraction is no longer in the stream, the repeats are.
    world.trim_before(15).await;
    let repeats = [
        retraction("r2", "ann-0", "pl_ann"),
        retraction("r3", "ann-1", "pl_ann"),
        retraction("r4", "ann-1", "pl_ann"),
    ];
    world
        .publish(&[&repeats[..], &plays("more", "pl_ann", 0..1)].concat())
        .await;
    world.settled().await;
    // 11 plays at the start, then 10, then 11.
    let simulation = simulated(&world, &proposed(11, 11), &[]).await;
    let found: Vec<_> = crossings(&simulation["users"][0])
        .into_iter()
        .map(|one| (one.0, one.2))
        .collect();
    assert_eq!(found, [("r3".to_owned(), 10), ("more-0".to_owned(), 11)]);
}

#[tokio::test]
async fn a_deletion_hides_the_count_before_it() {
    let world = World::start().await;
    world.played("ann", 30).await;
    world
        .publish(&[deleted("d", "pl_ann"), saved("again", "pl_ann", &user("ann"))])
        .await;
    world.publish(&plays("more", "pl_ann", 0..10)).await;
    world.settled().await;
    let whole = simulated(&world, &proposed(10, 10), &[]).await;
    let found: Vec<_> = crossings(&whole["users"][0])
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(found, ["ann-9", "d", "more-9"]);
    world.trim_before(6).await;
    let trimmed = simulated(&world, &proposed(10, 10), &[]).await;
    let found: Vec<_> = crossings(&trimmed["users"][0])
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(
        (found, &trimmed["users"][0]["uncertain"]),
        (vec!["more-9".to_owned()], &json!(true))
    );
    assert!(says(&trimmed, "1 playlist was deleted meanwhile"), "{trimmed}");
}

async fn counted(world: &World) -> Option<i64> {
    world.number("SELECT plays FROM playlists").await
}

#[tokio::test]
async fn a_forgiven_playlist_makes_its_owner_uncertain() {
    let world = World::builder().env("ONLY", "fold").start().await;
    world.played("ann", 7).await;
    let early = (0..10).map(|n| retraction(&format!("r{n}"), &format!("ann-{n}"), "pl_ann"));
    world.publish(&early.collect::<Vec<_>>()).await;
    world
        .eventually("all are folded", async || counted(&world).await == Some(-3))
        .await;
    world.told(&["forgive", "--all", "--why", "a test"]).await;
    world.publish(&plays("more", "pl_ann", 0..9)).await;
    world
        .eventually("all are folded", async || counted(&world).await == Some(9))
        .await;
    let simulation = simulated(&world, &proposed(10, 10), &[]).await;
    assert_eq!(simulation["users"][0]["uncertain"], true, "{simulation}");
    assert!(says(&simulation, "set to 0 (forgive)"), "{simulation}");
}

#[tokio::test]
async fn a_playlist_that_changes_hands_carries_both_users() {
    let world = World::start().await;
    world.played("ann", 20).await;
    world.seed_user(&user("bob"), &[]);
    world.publish(&[saved("given", "pl_ann", &user("bob"))]).await;
    world.settled().await;
    let simulation = simulated(&world, &proposed(10, 10), &[]).await;
    let users = simulation["users"].as_array().expect("users").iter();
    let found: Vec<Value> = users
        .map(|user| {
            let all: Vec<_> = crossings(user).into_iter().map(|one| (one.0, one.3)).collect();
            json!([user["user_id"], all])
        })
        .collect();
    let expected = [
        json!([ANN, [["ann-9", true], ["given", false]]]),
        json!([user("bob"), [["given", true]]]),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_retraction_that_may_repeat_an_earlier_one_is_uncertain() {
    let world = World::start().await;
    world.played("ann", 12).await;
    world.publish(&[retraction("r1", "ann-0", "pl_ann")]).await;
    world.settled().await;
    world.trim_before(15).await;
    world.publish(&[retraction("r2", "ann-0", "pl_ann")]).await;
    world.settled().await;
    let certain = simulated(&world, &proposed(12, 12), &[]).await;
    assert_eq!(certain["unknown"]["maybe_repeated"], 0, "{certain}");
    // As if the fold had been late: it counted the first retraction after the repeat was stored.
    world
        .run_sql("UPDATE retractions SET counted_at = now(); DELETE FROM cursor_marks")
        .await;
    let late = simulated(&world, &proposed(12, 12), &[]).await;
    assert_eq!(late["unknown"]["maybe_repeated"], 1, "{late}");
    assert!(
        says(&late, "1 playlist has a retraction that may repeat one"),
        "{late}"
    );
    let marked = &late["users"][0];
    assert_eq!(
        (&marked["crossed"], &marked["uncertain"]),
        (&json!(1), &json!(true)),
        "{late}"
    );
}

#[tokio::test]
async fn cloud_events_count_as_plain_ones() {
    for form in [Form::Plain, Form::Structured, Form::Binary] {
        let world = World::start().await;
        world.played("ann", 12).await;
        let more = [
            retraction("r1", "ann-0", "pl_ann"),
            retraction("r2", "ann-0", "pl_ann"),
            play("last", "pl_ann"),
        ];
        world.publish(&more.map(|event| event.in_form(form))).await;
        world.settled().await;
        let simulation = simulated(&world, &proposed(12, 12), &[]).await;
        let found = crossings(&simulation["users"][0]).into_iter();
        let found: Vec<_> = found.map(|one| one.0).collect();
        assert_eq!(found, ["ann-11", "r1", "last"], "{form:?}");
    }
}
