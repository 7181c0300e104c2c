//! `rolekeeper plan`, `rules plan` and `apply`: who would gain or lose a role, and to do exactly that.

mod again;
mod apply;
mod file;
mod forged;
mod in_force;
mod places;
mod proposed;

use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use crate::world::rules::RulesFile;
use crate::world::{Running, World, text, user};

/// Exit code and lines of a command with `--json`.
pub(super) async fn planned(world: &World, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = world.command(&[arguments, &["--json"]].concat()).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |line: &str| serde_json::from_str(line).expect("a JSON object a line");
    assert!(!said.is_empty(), "{}", text(&output));
    (output.status.code(), said.lines().map(line).collect())
}

/// Exit code and output of a command.
pub(super) async fn done(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world.command(arguments).await;
    (output.status.code(), text(&output))
}

/// Waits until the playlists of these names have these plays.
async fn counted(world: &World, counts: &[(&str, i64)]) {
    for (name, plays) in counts {
        let list = format!("pl_{name}");
        let now = async || {
            let query = sqlx::query_scalar("SELECT plays FROM playlists WHERE playlist_id = $1");
            let row: Result<Option<i64>, _> = query.bind(&list).fetch_optional(&world.db).await;
            row.expect("Postgres responds")
        };
        let counted = async || now().await == Some(*plays);
        world.eventually("the plays are counted", counted).await;
    }
}

/// A paused world in which these have earned the role.
async fn earned(names: &[&str]) -> World {
    let world = World::start().await;
    world.told(&["pause", "--why", "a test"]).await;
    for name in names {
        world.played(name, 120).await;
        counted(&world, &[(name, 120)]).await;
    }
    world
}

/// Empties the work queue, so that only a command fills it.
async fn forget_queue(world: &World) {
    world.run_sql("DELETE FROM work_queue").await;
}

/// The users of the work queue whose profile is to be read.
async fn queued(world: &World) -> Vec<Value> {
    let rows = world.rows("SELECT user_id FROM work_queue WHERE force_fetch ORDER BY user_id");
    rows.await.into_iter().map(|row| row["user_id"].clone()).collect()
}

/// A table's lock, such as `work_queue IN SHARE MODE`, until the transaction ends.
pub(super) async fn locked(world: &World, lock: &str) -> PgConnection {
    let url = world.setting("DATABASE_URL");
    let mut other = PgConnection::connect(&url).await.expect("Postgres");
    let lock = AssertSqlSafe(format!("BEGIN; LOCK TABLE {lock}"));
    sqlx::raw_sql(lock).execute(&mut other).await.expect("a lock");
    other
}

/// Waits until so many commands wait for a lock.
pub(super) async fn waiting(world: &World, commands: i64) {
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE NOT granted AND d.datname = current_database()";
    let waiting = async || world.number(waits).await == Some(commands);
    world.eventually("it waits for the lock", waiting).await;
}

/// Starts a command that waits for this lock, which ends with the connection. No worker runs then.
async fn blocked(world: &World, arguments: &[&str], lock: &str) -> (PgConnection, Running) {
    world.worker().kill9().await;
    let lock = locked(world, lock).await;
    let command = world.begin_command(arguments);
    waiting(world, 1).await;
    (lock, command)
}

/// Starts a command while a table is locked, and sends the signal once the command waits for the lock; returns its end.
async fn interrupted(world: &World, arguments: &[&str], lock: &str, signal: Signal) -> (bool, String) {
    let (lock, mut command) = blocked(world, arguments, lock).await;
    command.send(signal);
    if signal == Signal::SIGKILL {
        command.ended().await;
    }
    lock.close().await.expect("Postgres responds");
    command.ended().await
}

/// Makes a plan of a rules file.
pub(super) async fn plan_of(world: &World, rules: &RulesFile, path: &str) {
    let rules = rules.path().display().to_string();
    done(world, &["rules", "plan", &rules, "-o", path]).await;
}

/// A place for a plan file, and its folder.
pub(super) fn place() -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.plan");
    let name = path.display().to_string();
    (folder, path, name)
}

/// The users, roles and changes of these lines.
fn changes(lines: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |line: &Value| (text(&line["user"]), text(&line["change"]));
    lines.iter().map(one).collect()
}

fn change(name: &str, change: &str) -> (String, String) {
    (user(name), change.to_owned())
}
