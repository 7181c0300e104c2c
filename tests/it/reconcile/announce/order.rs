//! The order of announcements: for one user always the order of the changes; for several users the order in which they
//! became visible.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::world::World;

/// Users of ROLE_CHANGES, in the stream's order.
async fn announced(world: &World, changes: u64) -> Vec<String> {
    let stream = world
        .jetstream
        .get_stream("ROLE_CHANGES")
        .await
        .expect("the stream");
    let mut users = Vec::new();
    for seq in 1..=changes {
        let message = stream.get_raw_message(seq).await.expect("a message");
        let change: Value = serde_json::from_slice(&message.payload).expect("JSON");
        users.push(change["user_id"].as_str().expect("a user").to_owned());
    }
    users
}

/// Postgres' clock completes a change before its transaction commits: a change that commits late is announced late.
#[tokio::test]
async fn a6_a_change_that_commits_late_is_announced_late_and_not_lost() {
    let world = World::start().await;
    let mut late = world.db.begin().await.expect("a transaction");
    let insert = "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, outcome)
        VALUES ($1, 'auth0|late', 'playlist_editor', 'granted', 100, '{}', 0, clock_timestamp(), 'written')";
    let insert = sqlx::query(insert).bind(Uuid::now_v7()).execute(&mut *late);
    insert.await.expect("a row");
    world.seed_user("auth0|ann", &[]);
    world.earn("auth0|ann", "pl_1").await;
    let count = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
    world
        .eventually("the later one is announced", async || {
            world.number(count).await == Some(1)
        })
        .await;
    late.commit().await.expect("a commit");
    world
        .eventually_within(Duration::from_secs(10), "so is the late one", async || {
            world.number(count).await == Some(2)
        })
        .await;
    assert_eq!(announced(&world, 2).await, ["auth0|ann", "auth0|late"]);
    let order = "SELECT user_id FROM role_changes ORDER BY completed_at";
    assert_eq!(world.rows(order).await[0]["user_id"], "auth0|late");
}
