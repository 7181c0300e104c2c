//! Changes by hand in Postgres: each is found and named.

use super::{PERIOD, chained, verified};
use crate::world::{World, text, user};

/// Four changes in the chain.
async fn four() -> World {
    let world = World::start().await;
    for name in ["ann", "bob", "cid", "dan"] {
        world.played(name, 100).await;
        world
            .eventually("it is granted", async || world.has(name, "playlist_editor"))
            .await;
    }
    world.settled().await;
    chained(&world).await;
    world
}

/// Does what only a superuser can do.
pub(super) async fn by_hand(world: &World, statement: &'static str) {
    world
        .run_sql("ALTER TABLE role_changes DISABLE TRIGGER USER")
        .await;
    world.run_sql(statement).await;
    world
        .run_sql("ALTER TABLE role_changes ENABLE TRIGGER USER")
        .await;
}

/// The text of the command, which must find differences.
async fn found(world: &World) -> String {
    let output = world.command(&PERIOD).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_row_changed_by_hand_is_found_and_named() {
    let world = four().await;
    by_hand(
        &world,
        "UPDATE role_changes SET plays = 99 WHERE chain_position = 2",
    )
    .await;
    let id = world
        .rows("SELECT change_id FROM role_changes WHERE chain_position = 2")
        .await;
    let named = format!(
        "role change {}, position 2 of the chain: its content does not have its hash: it was changed\n",
        id[0]["change_id"].as_str().expect("an id")
    );
    assert_eq!(found(&world).await, named);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broken.ndjson");
    let to = ["-o", file.to_str().expect("UTF-8")];
    let output = world.command(&[&PERIOD, &to[..]].concat()).await;
    assert_eq!(output.status.code(), Some(2));
    let (code, said) = verified(&world, &file).await;
    assert!(code == Some(2) && said.contains("line 3, change"), "{said}");
}

#[tokio::test]
async fn other_changes_by_hand_are_found_too() {
    for (statement, position) in [
        (
            "UPDATE role_changes SET user_id = 'auth0|eve' WHERE chain_position = 3",
            "position 3 of the chain: its user id does not have the hash",
        ),
        (
            "UPDATE role_changes SET chain_hash = sha256('x') WHERE chain_position = 1",
            "position 1 of the chain: its content does not have its hash",
        ),
        (
            "DELETE FROM role_changes WHERE chain_position = 2",
            "position 3 of the chain: position 2 of the chain is expected here, and 3 is found",
        ),
        (
            "DELETE FROM role_changes WHERE chain_position = 4",
            "the chain ends at position 3",
        ),
        (
            "UPDATE role_changes SET chain_position = 9 WHERE chain_position = 2;
             UPDATE role_changes SET chain_position = 2 WHERE chain_position = 3;
             UPDATE role_changes SET chain_position = 3 WHERE chain_position = 9",
            "position 2 of the chain: its previous hash is not that",
        ),
    ] {
        let world = four().await;
        by_hand(&world, statement).await;
        let said = found(&world).await;
        assert!(said.contains(position), "{statement}: {said}");
    }
}

/// The worker may be down: the evidence says that it is not whole.
#[tokio::test]
async fn changes_without_a_place_are_reported() {
    let world = four().await;
    world.worker().kill9().await;
    world
        .run_sql(
            "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, outcome)
             VALUES (gen_random_uuid(), 'auth0|eve', 'playlist_editor', 'granted', 100, '{}', 0, clock_timestamp(), 'written')",
        )
        .await;
    let said = found(&world).await;
    assert!(
        said.contains("1 change that was completed in the period has no place"),
        "{said}"
    );
    world.start_worker().await;
    chained(&world).await;
    let shown = world.told(&PERIOD).await;
    assert!(
        shown.contains("changes  5 (5 granted)") && shown.contains(&user("ann")),
        "{shown}"
    );
}
