//! The period: times that were changed by hand, transactions that are still open, and two commands with one file.

use std::fs;

use super::broken::by_hand;
use super::file::forty;
use super::{PERIOD, verified};
use crate::world::{World, text};

/// A completed change.
const CHANGE: &str = "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, outcome)
    VALUES (gen_random_uuid(), 'auth0|eve', 'playlist_editor', 'granted', 100, '{}', 0, clock_timestamp(), 'written')";
const CONNECTED: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'rolekeeper'";

/// A change of a transaction that has not ended.
async fn open(world: &World) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut open = world.db.begin().await.expect("a transaction");
    let change = sqlx::query(CHANGE).execute(&mut *open).await;
    change.expect("a change");
    open
}

#[tokio::test]
async fn a_time_moved_out_of_the_period_is_found() {
    let world = forty().await;
    by_hand(
        &world,
        "UPDATE role_changes SET completed_at = '2026-03-01' WHERE chain_position IN (5, 10, 19)",
    )
    .await;
    for (from, to, moved) in [
        ("2026-01-10", "2026-01-20", &[10, 19][..]),
        ("2026-01-05", "2026-01-06", &[5]),
        ("2026-02-01", "2026-02-05", &[]),
    ] {
        let output = world.command(&["evidence", "--from", from, "--to", to]).await;
        let code = if moved.is_empty() { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        for position in moved {
            let named = format!("position {position} of the chain: its content does not have its hash");
            assert!(text(&output).contains(&named), "{}", text(&output));
        }
    }
}

#[tokio::test]
async fn a_change_that_is_committed_late_is_not_missed() {
    let world = World::builder().workers(0).start().await;
    let open = open(&world).await;
    let mut command = world.begin_command(&PERIOD);
    world
        .eventually("the command is connected", async || {
            world.number(CONNECTED).await > Some(0)
        })
        .await;
    open.commit().await.expect("a commit");
    let (succeeded, said) = command.ended().await;
    assert!(
        !succeeded && said.contains("1 change that was completed in the period has no place"),
        "{said}"
    );
}

#[tokio::test]
async fn two_commands_with_one_file_leave_one_whole_file() {
    let world = World::builder().workers(0).start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    let entries = || fs::read_dir(folder.path()).expect("the folder").count();
    let open = open(&world).await;
    let to = ["-o", file.to_str().expect("UTF-8")];
    let write = [&PERIOD[..], &to].concat();
    let both_write = async {
        world.eventually("both write", async || entries() == 2).await;
        open.rollback().await.expect("a rollback");
    };
    let (one, other, ()) = tokio::join!(world.command(&write), world.command(&write), both_write);
    let (one, other) = (one.status.code(), other.status.code());
    assert_eq!(one.max(other).zip(one.min(other)), Some((1, 0)));
    assert_eq!(entries(), 1);
    assert_eq!(verified(&world, &file).await.0, Some(0));
}

/// Postgres has times that no calendar has.
#[tokio::test]
async fn times_outside_the_calendar_are_refused_or_found() {
    let world = forty().await;
    for time in ["infinity", "-infinity", "20000-01-01"] {
        let change = CHANGE.replace("clock_timestamp()", &format!("'{time}'"));
        let stored = sqlx::raw_sql(sqlx::AssertSqlSafe(change))
            .execute(&world.db)
            .await;
        assert!(stored.is_err(), "{time}");
    }
    by_hand(
        &world,
        "ALTER TABLE role_changes DROP CONSTRAINT role_changes_calendar;
         UPDATE role_changes SET decided_at = '-infinity', attempted_at = 'infinity' WHERE chain_position = 2;
         UPDATE role_changes SET completed_at = 'infinity', event_stored_at = '-infinity' WHERE chain_position = 3",
    )
    .await;
    let output = world.command(&PERIOD).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    for position in [2, 3] {
        let named = format!("position {position} of the chain: its content");
        assert!(text(&output).contains(&named), "{}", text(&output));
    }
}
