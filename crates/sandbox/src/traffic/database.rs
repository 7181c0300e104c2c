//! Reads what Postgres holds, beside the worker.
//!
//! Owns the few questions that the reference count is compared with. Must never write.

use std::collections::BTreeMap;

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;

/// One line of the audit.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Change {
    /// Whose role.
    pub user_id: String,
    /// Which role.
    pub role: String,
    /// `granted` or `revoked`.
    pub change: String,
    /// Plays of the best playlist when it was decided.
    pub plays: i64,
    /// The event that carried the user over.
    pub event_id: Option<String>,
    /// When the stream stored that event.
    pub event_stored_at: Option<OffsetDateTime>,
    /// When it was done.
    pub completed_at: Option<OffsetDateTime>,
    /// How it ended.
    pub outcome: Option<String>,
    /// How long the user had been due when the look began, milliseconds.
    pub queued_ms: i64,
}

/// A message that was set aside because nobody can read it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SetAside {
    /// Its stream.
    pub stream: String,
    /// Its sequence there.
    pub stream_seq: i64,
    /// Why.
    pub reason: String,
    /// Names the field and what was expected.
    pub detail: String,
}

/// What there is in Postgres.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Plays by playlist.
    pub playlists: BTreeMap<String, i64>,
    /// The audit, in order.
    pub changes: Vec<Change>,
    /// Messages nobody could read.
    pub set_aside: Vec<SetAside>,
    /// How far each stream was read.
    pub read_to: BTreeMap<String, i64>,
}

/// Reads all of it.
pub async fn read(url: &str) -> anyhow::Result<Kept> {
    let mut connection = PgConnection::connect(url)
        .await
        .context("cannot reach Postgres")?;
    let playlists: Vec<(String, i64)> = sqlx::query_as("SELECT playlist_id, plays FROM playlists")
        .fetch_all(&mut connection)
        .await?;
    let changes = sqlx::query_as(
        "SELECT user_id, role, change, plays, event_id, event_stored_at, completed_at, outcome, queued_ms
         FROM role_changes ORDER BY decided_at, change_id",
    );
    let changes = changes.fetch_all(&mut connection).await?;
    let set_aside = sqlx::query_as(
        "SELECT stream, stream_seq, reason, detail FROM dead_letters ORDER BY stream, stream_seq",
    );
    let set_aside = set_aside.fetch_all(&mut connection).await?;
    let read_to: Vec<(String, i64)> = sqlx::query_as("SELECT stream, last_seq FROM stream_cursors")
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    Ok(Kept {
        playlists: playlists.into_iter().collect(),
        changes,
        set_aside,
        read_to: read_to.into_iter().collect(),
    })
}
