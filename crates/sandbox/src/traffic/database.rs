//! Reads the tables in Postgres, separately from the worker.
//!
//! Owns the queries whose results are compared with the reference count. Must never write.

use std::collections::BTreeMap;

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;

/// One line of the audit.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Change {
    /// The user whose role changed.
    pub user_id: String,
    /// The role.
    pub role: String,
    /// `granted` or `revoked`.
    pub change: String,
    /// Plays of the best playlist at the decision.
    pub plays: i64,
    /// The event with which the user crossed the threshold.
    pub event_id: Option<String>,
    /// When the stream stored that event.
    pub event_stored_at: Option<OffsetDateTime>,
    /// When it was completed.
    pub completed_at: Option<OffsetDateTime>,
    /// Its outcome.
    pub outcome: Option<String>,
    /// Milliseconds that the user was due when the attempt began.
    pub queued_ms: i64,
}

/// A dead letter: a message that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SetAside {
    /// Its stream.
    pub stream: String,
    /// Its sequence there.
    pub stream_seq: i64,
    /// The reason.
    pub reason: String,
    /// Text with the field and the expected value.
    pub detail: String,
}

/// The read rows.
#[derive(Clone, Debug)]
pub struct DbSnapshot {
    /// Plays by playlist.
    pub playlists: BTreeMap<String, i64>,
    /// The audit, in order.
    pub changes: Vec<Change>,
    /// The dead letters.
    pub set_aside: Vec<SetAside>,
    /// The cursor of each stream.
    pub read_to: BTreeMap<String, i64>,
}

/// Reads all rows.
pub async fn read(url: &str) -> anyhow::Result<DbSnapshot> {
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
    Ok(DbSnapshot {
        playlists: playlists.into_iter().collect(),
        changes,
        set_aside,
        read_to: read_to.into_iter().collect(),
    })
}
