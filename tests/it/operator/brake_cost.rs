//! The cost of a brake: a decision reads neither the other decisions of the window nor running timers, and users that are
//! held do not delay others.

use std::time::Duration;

use crate::world::World;
use crate::world::events::retraction;
use crate::world::oracle::ROLE;

/// Decisions of the last minutes, as many as [`DECISIONS`] inserts.
const DECIDED: i64 = 20_000;
/// Running timers, as many as the story inserts.
const TIMERS: i64 = 20_000;
const USERS: u32 = 6;
const STOP_WITHIN: Duration = Duration::from_secs(30);

const DECISIONS: &str = "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, announced_at, outcome)
    SELECT gen_random_uuid(), 'auth0|s' || n, 'playlist_editor', 'granted', 100, 'null', 0, now(), now(), 'written'
    FROM generate_series(1, 20000) AS n";

/// Rows of the audit that finished sessions have read.
const READ: &str =
    "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'role_changes'";

#[tokio::test]
async fn a_decision_reads_no_other_decision_of_the_window() {
    let world = World::builder().workers(0).start().await;
    world.run_sql(DECISIONS).await;
    // The share allows more than the number of the default limits.
    let holders = "INSERT INTO assignments (user_id, role, wanted, has_role, adopted, since, verified_at)
        SELECT 'auth0|h' || n, 'playlist_editor', false, true, false, now() - interval '1 year', now() FROM generate_series(1, 100000) AS n";
    world.run_sql(holders).await;
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

/// Users whose decision changes in some days are queued under the priority of revokes.
#[tokio::test]
async fn a_revoke_reads_no_running_timer() {
    // Below the number of timers, so that each revoke counts.
    let world = World::builder()
        .workers(0)
        .limit("brake_revokes", 100.0)
        .start()
        .await;
    let timers = "INSERT INTO work_queue (user_id, priority, due_at, enqueued_at)
        SELECT 'auth0|t' || n, 0, now() + interval '5 days', now() + interval '5 days' FROM generate_series(1, 20000) AS n";
    world.run_sql(timers).await;
    world.run_sql("ANALYZE work_queue").await;
    // The first comparison of all users reads them once.
    let worker = world.start_worker().await;
    let read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'work_queue'";
    let before = world.number(read).await.expect("a number");
    for n in 0..USERS {
        let (user, list) = (format!("auth0|u{n}"), format!("pl_{n}"));
        world.seed_user(&user, &["mentor"]);
        world.earn(&user, &list).await;
        world
            .eventually("the role is there", async || {
                world.roles(&user) == ["mentor", ROLE]
            })
            .await;
        world
            .publish(&[retraction(&format!("r{n}"), &format!("{list}-7"), &list)])
            .await;
        world
            .eventually("the role is gone", async || world.roles(&user) == ["mentor"])
            .await;
    }
    worker.sigterm(STOP_WITHIN).await;
    let read = world.number(read).await.expect("a number") - before;
    assert!(
        read < 3 * TIMERS,
        "{USERS} revokes read {read} rows of the queue, with {TIMERS} timers"
    );
}

/// Behind an engaged brake on revokes, a mass of them is held one by one; a grant does not wait for all of them.
#[tokio::test]
async fn a_grant_does_not_wait_until_all_revokes_are_held() {
    let world = World::builder().workers(0).start().await;
    world
        .run_sql("UPDATE brakes SET engaged_at = now(), changes = 1, holders = 1 WHERE change = 'revoked'")
        .await;
    let held = "INSERT INTO assignments (user_id, role, wanted, has_role, adopted)
        SELECT 'auth0|h' || n, 'playlist_editor', true, true, true FROM generate_series(1, 3000) AS n";
    world.run_sql(held).await;
    let due = "INSERT INTO work_queue (user_id, priority) SELECT user_id, 0 FROM assignments";
    world.run_sql(due).await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.start_worker().await;
    world.earn("auth0|ann", "pl_1").await;
    world
        .eventually("the role is there", async || {
            world.roles("auth0|ann") == ["mentor", ROLE]
        })
        .await;
    let not_held = "SELECT count(*) FROM work_queue WHERE held_by IS NULL";
    let waiting = world.number(not_held).await.expect("a number");
    assert!(
        waiting > 100,
        "the grant came after {waiting} of 3000 revokes were left"
    );
}
