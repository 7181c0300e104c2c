//! The cost of a brake: a decision does not read the other decisions of the window.

use std::time::Duration;

use crate::world::World;
use crate::world::oracle::ROLE;

/// Decisions of the last minutes.
const DECIDED: i64 = 20_000;
const USERS: u32 = 6;
const STOP_WITHIN: Duration = Duration::from_secs(30);

async fn seed_decisions(world: &World) {
    let rows = "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, announced_at, outcome)
        SELECT gen_random_uuid(), 'auth0|s' || n, 'playlist_editor', 'granted', 100, 'null', 0, now(), now(), 'written'
        FROM generate_series(1, $1) AS n";
    let rows = sqlx::query(rows).bind(DECIDED).execute(&world.db);
    rows.await.expect("Postgres responds");
}

/// Rows of the audit that finished sessions have read.
const READ: &str =
    "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'role_changes'";

#[tokio::test]
async fn a_decision_reads_no_other_decision_of_the_window() {
    let world = World::builder()
        .workers(0)
        .limit("brake_grants", 1_000_000.0)
        .start()
        .await;
    seed_decisions(&world).await;
    let worker = world.start_worker().await;
    let before = world.number(READ).await.expect("a number");

    for n in 0..USERS {
        let user = format!("auth0|u{n}");
        world.seed_user(&user, &["mentor"]);
        world.earn(&user, &format!("pl_{n}")).await;
        world
            .eventually("the role is there", async || {
                world.roles(&user) == ["mentor", ROLE]
            })
            .await;
    }
    // Sessions report what they read at the latest when they end.
    worker.sigterm(STOP_WITHIN).await;

    let read = world.number(READ).await.expect("a number") - before;
    assert!(
        read < 3 * DECIDED,
        "{USERS} decisions read {read} rows; {DECIDED} were decided before"
    );
}
