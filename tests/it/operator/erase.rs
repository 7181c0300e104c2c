//! Erased users: no table has data of them, and nothing restores it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::erasure::{ANN, BOB, erase, lived_in, named};
use crate::world::events::{plays, saved};
use crate::world::{World, text};

/// The rows of Bob, who lives beside her.
async fn bobs(world: &World) -> Vec<Value> {
    let rows = "SELECT * FROM (SELECT user_id, role, has_role::text FROM assignments UNION ALL SELECT user_id, change, outcome FROM role_changes
         UNION ALL SELECT owner_id, playlist_id, plays::text FROM playlists UNION ALL SELECT user_id, fields::text, profile::text FROM users) AS t
         WHERE user_id = 'auth0|bob' ORDER BY 1, 2, 3";
    world.rows(rows).await
}

/// All messages that name her, a second time, and plays of her former playlists.
async fn name_her_again(world: &World) {
    let tenant = &world.tenant;
    tenant.login(ANN).expect("a login");
    let mut late = vec![saved("late-1", "pl_ann", ANN), saved("late-2", "pl_new", ANN)];
    late.extend(plays("late", "pl_ann", 0..150));
    late.extend(plays("late-new", "pl_new", 0..3));
    world.publish(&late).await;
    let without = json!({"app_metadata": {"roles": []}});
    tenant.edit_by_other_client("crm", ANN, without).expect("an edit");
    world.quiet().await;
    assert!(tenant.delete_user(ANN));
    world.quiet().await;
    let again = json!({"email": "ann@example.com"});
    tenant.create_user(ANN, again).expect("a sign-up");
    world.quiet().await;
}

/// F29: a user is erased while events are in flight; a deleted user signs up again under the same id: an erased user never comes back,
/// late events are dropped and counted; a deleted one comes back when Auth0 knows the id again.
#[tokio::test]
async fn f29_nothing_of_an_erased_person_is_left_or_comes_back() {
    let world = lived_in().await;
    let before = named(&world).await;
    for table in [
        "users",
        "playlists",
        "assignments",
        "role_changes",
        "profile_writes",
        "foreign_writes",
        "dead_letters",
    ] {
        assert!(
            before.contains_key(table),
            "{table} does not know her: {before:?}"
        );
    }
    let said = text(&erase(&world).await);
    assert!(said.contains("erased;"), "{said}");
    assert_eq!(named(&world).await, BTreeMap::new());
    let calls = world.calls_of(ANN).len();
    let audit = "SELECT count(*) FROM role_changes WHERE user_id LIKE 'erased:%' AND length(user_id) = 71";
    assert_eq!(world.number(audit).await, Some(1), "the audit stays");

    name_her_again(&world).await;
    assert_eq!(named(&world).await, BTreeMap::new());
    assert_eq!(world.calls_of(ANN).len(), calls, "no call is made for her");
    let worker = world.worker();
    // Of the log: login, edit, deletion (two records), sign-up.
    for (stream, dropped) in [("APP_EVENTS", 2), ("AUTH0_LOGS", 5)] {
        let series = format!("rolekeeper_erased_dropped_total{{stream=\"{stream}\"}}");
        assert_eq!(worker.count(&series).await, Some(dropped), "{stream}");
    }
    let playlists = "SELECT count(*) FROM playlists WHERE owner_id IS NULL AND name IS NULL
        AND ((playlist_id = 'pl_ann' AND deleted AND plays = 0) OR (playlist_id = 'pl_new' AND plays = 3))";
    assert_eq!(world.number(playlists).await, Some(2));
}

#[tokio::test]
async fn no_command_brings_an_erased_person_back_and_others_go_on() {
    let world = lived_in().await;
    let bob = bobs(&world).await;
    assert_eq!(bob.len(), 4);
    erase(&world).await;
    let calls = world.calls_of(ANN).len();
    world
        .told(&["adopt", "--role", "playlist_editor", "--user", ANN])
        .await;
    world.quiet().await;
    world
        .eventually("it is gone again", async || named(&world).await.is_empty())
        .await;
    assert_eq!(world.calls_of(ANN).len(), calls);
    assert_eq!(bobs(&world).await, bob);
    // The next user who saves the playlist starts at 0.
    let mut next = vec![saved("next", "pl_ann", BOB)];
    next.extend(plays("next", "pl_ann", 0..5));
    world.publish(&next).await;
    world.quiet().await;
    let next = "SELECT plays FROM playlists WHERE playlist_id = 'pl_ann' AND NOT deleted";
    assert_eq!(world.number(next).await, Some(5));
    assert!(text(&erase(&world).await).contains("erased again"));
}

#[tokio::test]
async fn a_person_can_see_what_is_kept() {
    let world = lived_in().await;
    let export = async |user: &str| world.command(&["export", user]).await;
    let output = export(ANN).await;
    assert!(output.status.success(), "{}", text(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    assert_eq!(shown["user_id"], ANN);
    let tables = shown["tables"].as_object().expect("tables");
    let counts: BTreeMap<String, i64> = tables
        .iter()
        .map(|(table, rows)| {
            (
                table.clone(),
                rows.as_array().map_or(-1, |rows| rows.len().cast_signed() as i64),
            )
        })
        .collect();
    assert_eq!(
        counts,
        named(&world).await,
        "every row that names her, and no other"
    );
    assert_eq!(
        shown["tables"]["users"][0]["fields"]["email"]["value"],
        "pl_ann@example.com"
    );
    assert_eq!(shown["tables"]["playlists"][0]["plays"], 100);
    let letters = shown["tables"]["dead_letters"].to_string();
    assert!(letters.contains("xxxx"), "{letters}");

    let unknown = export("auth0|unknown").await;
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(1), 0));
    assert!(text(&unknown).contains("auth0|unknown: nothing is kept"));
}
