//! The audit: every action of an operator is kept with its operator and reason, and no row is changed or removed.

use serde_json::{Value, json};

use super::evidence::chained;
use crate::world::{ANN, World};

/// Operator, command, reason and result of each action, oldest first; without `migrate`.
async fn acts(world: &World) -> Vec<Value> {
    let acts = "SELECT acted_by, command, arguments, why, outcome FROM operator_acts WHERE command <> 'migrate' ORDER BY act_id";
    world.rows(acts).await
}

/// Postgres' error for a statement; empty when it succeeds.
async fn refusal(world: &World, statement: &'static str) -> String {
    let done = sqlx::raw_sql(statement).execute(&world.db).await;
    done.err().map_or_else(String::new, |error| error.to_string())
}

#[tokio::test]
async fn every_act_of_an_operator_is_kept_with_who_and_why() {
    let world = World::start().await;
    world.earn(ANN, "pl_1").await;
    world.seed_user(ANN, &[]);
    world.told(&["pause", "--why", "moving", "--as", "bob"]).await;
    world.told(&["resume", "--as", "bob", "--why", "moved"]).await;
    let adopt = ["adopt", "--user", ANN, "--as", "bob", "--why", "hers"];
    world.told(&adopt).await;
    let limits = ["limits", "set", "reserve", "0.1", "--why", "quiet", "--as", "bob"];
    world.told(&limits).await;
    world.told(&["announce", "--from", "start"]).await;
    let row = |command: &str, arguments: Value, why: &str, outcome: &str| json!({"acted_by": "bob", "command": command, "arguments": arguments, "why": why, "outcome": outcome});
    let kept = acts(&world).await;
    let role = json!({"role": "playlist_editor", "users": [ANN], "users_file": null, "all_known": false, "force": false, "named": 1});
    assert_eq!(kept[0], row("pause", json!({}), "moving", "paused"));
    assert_eq!(kept[1], row("resume", json!({}), "moved", "resumed"));
    assert_eq!((&kept[2]["arguments"], &kept[2]["why"]), (&role, &json!("hers")));
    let reserve = json!({"name": "reserve", "value": "0.1"});
    assert_eq!(kept[3], row("limits set", reserve, "quiet", "reserve = 0.1"));
    assert!(
        kept[4]["acted_by"].as_str().is_some_and(|by| by.contains('@')),
        "{kept:?}"
    );
    let shown = world.told(&["acts", "--limit", "2"]).await;
    assert!(
        shown.contains("bob  limits set") && !shown.contains("adopt"),
        "{shown}"
    );
    let shown = world.told(&["acts", "--json"]).await;
    assert!(shown.contains(r#""why":"moving""#), "{shown}");
}

#[tokio::test]
async fn what_changed_nothing_is_no_act() {
    let world = World::builder().workers(0).start().await;
    for refused in [
        &["resume"][..],
        &["brake", "release", "revokes"],
        &["requeue", "--user", ANN],
    ] {
        assert!(!world.command(refused).await.status.success(), "{refused:?}");
    }
    assert_eq!(acts(&world).await, Vec::<Value>::new());
    let migrated = "SELECT count(*) FROM operator_acts WHERE command = 'migrate'";
    assert_eq!(world.number(migrated).await, Some(1));
    world.told(&["migrate"]).await;
    assert_eq!(world.number(migrated).await, Some(1), "nothing was applied");
}

#[tokio::test]
async fn no_row_of_the_audit_is_removed_or_changed() {
    let world = World::start().await;
    world.seed_user(ANN, &[]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    world.told(&["pause", "--why", "a test"]).await;
    let announced = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
    world
        .eventually("it is announced", async || {
            world.number(announced).await == Some(1)
        })
        .await;
    chained(&world).await;
    for statement in [
        "DELETE FROM role_changes",
        "TRUNCATE role_changes",
        "DELETE FROM operator_acts",
        "TRUNCATE operator_acts",
        "UPDATE role_changes SET outcome = NULL, completed_at = NULL",
        "UPDATE role_changes SET outcome = 'superseded'",
        "UPDATE role_changes SET completed_at = now()",
        "UPDATE role_changes SET attempted_at = now()",
        "UPDATE role_changes SET announced_at = NULL",
        "UPDATE role_changes SET plays = 1",
        "UPDATE role_changes SET user_id = 'auth0|bob'",
        "UPDATE role_changes SET chain_hash = sha256('x')",
        "UPDATE role_changes SET chain_position = NULL, chain_previous = NULL, chain_hash = NULL, user_hash = NULL",
        "UPDATE role_changes SET user_salt = NULL",
        "UPDATE operator_acts SET acted_by = 'bob'",
        "UPDATE operator_acts SET why = NULL",
    ] {
        let said = refusal(&world, statement).await;
        assert!(said.contains("refused"), "{statement}: {said:?}");
    }
}
