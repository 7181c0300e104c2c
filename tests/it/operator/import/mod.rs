//! `rolekeeper import`: files of past plays and counts.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use super::plan::done;
use crate::world::World;

mod counted;
mod held;
mod interrupted;
mod refused;

/// Plays of all playlists.
const PLAYS: &str = "SELECT sum(plays)::bigint FROM playlists";

/// A file with these lines, in a folder that ends with the story.
struct File {
    folder: TempDir,
    path: String,
}

impl File {
    fn new(content: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = crate::world::nats_options::file(&folder, "past", content);
        Self { folder, path }
    }

    /// A place for a plan, beside it.
    fn plan(&self) -> String {
        self.folder.path().join("a.plan").display().to_string()
    }

    /// A number of plays of a playlist without an id.
    fn of_counts(counts: &[(&str, u32)]) -> Self {
        let mut lines = "playlist_id,plays\n".to_owned();
        for (playlist, plays) in counts {
            let _ = writeln!(lines, "{playlist},{plays}");
        }
        Self::new(&lines)
    }
}

/// A line of a past play.
fn play(id: &str, playlist: &str, at: &str) -> String {
    format!(
        "{{\"type\":\"play\",\"event_id\":\"{id}\",\"playlist_id\":\"{playlist}\",\"played_at\":\"{at}\"}}\n"
    )
}

/// Past plays of a playlist, with ids from `<name>-0` on.
fn plays(name: &str, playlist: &str, count: u32) -> String {
    let one = |n| play(&format!("{name}-{n}"), playlist, "2025-11-23T10:00:00Z");
    (0..count).map(one).collect()
}

/// Exit code and output of an import.
async fn imported(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    done(world, &[&["import"], arguments].concat()).await
}

/// A transaction that has locked a playlist, so that a line of it waits.
async fn locked(world: &World, playlist: &str) -> PgConnection {
    let url = world.setting("DATABASE_URL");
    let mut other = PgConnection::connect(&url).await.expect("Postgres");
    let lock = format!("BEGIN; SELECT FROM playlists WHERE playlist_id = '{playlist}' FOR UPDATE");
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut other)
        .await
        .expect("a lock");
    other
}
