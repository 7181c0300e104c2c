//! Tables `playlists` and `retractions`: the counts.
//!
//! Owns how counts are written. Must never read before it adds: on the hot path a batch is one upsert.

use std::collections::HashSet;

use time::OffsetDateTime;

use super::{StoreError, Tx};
use crate::domain::ids::UserId;
use crate::domain::tally::Playlist;

/// A playlist that has an owner, right after plays were added.
#[derive(Debug)]
pub struct Counted {
    /// The playlist.
    pub playlist: String,
    /// Plays after the batch.
    pub plays: i64,
    /// Its owner.
    pub owner: UserId<'static>,
}

/// Writes down which plays were retracted; answers those that were not before.
pub async fn retract(tx: &mut Tx<'_>, retracted: &[&str]) -> Result<HashSet<String>, StoreError> {
    let fresh = sqlx::query_scalar!(
        "INSERT INTO retractions (retracted_id) SELECT UNNEST($1::text[])
         ON CONFLICT DO NOTHING RETURNING retracted_id",
        retracted as &[&str]
    );
    Ok(fresh.fetch_all(&mut **tx).await?.into_iter().collect())
}

/// Where adding plays asks for an answer: at counts that are within `reach` of one of the `lines` (ascending) afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Near<'l> {
    /// The lines.
    pub lines: &'l [i64],
    /// By how much no count changes more.
    pub reach: i64,
}

/// Adds plays to playlists, sorted by id so that pages are touched in order; answers those with an owner, only those near
/// a line where `near` says so. A deleted playlist takes none.
pub async fn add(
    tx: &mut Tx<'_>,
    playlists: &[&str],
    deltas: &[i64],
    near: Option<Near<'_>>,
) -> Result<Vec<Counted>, StoreError> {
    let rows = sqlx::query!(
        r#"WITH counted AS (
               INSERT INTO playlists (playlist_id, plays)
               SELECT * FROM UNNEST($1::text[], $2::bigint[])
               ON CONFLICT (playlist_id) DO UPDATE SET plays = playlists.plays + excluded.plays
                   WHERE NOT playlists.deleted
               RETURNING playlist_id, plays, owner_id
           )
           SELECT playlist_id AS "playlist!", plays AS "plays!", owner_id AS "owner!"
           FROM counted
           WHERE owner_id IS NOT NULL
             -- a line lies between; no look at a second table, whose rows would have to be joined
             AND ($3::bigint[] IS NULL OR width_bucket(plays + $4, $3) <> width_bucket(plays - $4 - 1, $3))"#,
        playlists as &[&str],
        deltas,
        near.map(|near| near.lines) as Option<&[i64]>,
        near.map_or(0, |near| near.reach)
    );
    let rows = rows.fetch_all(&mut **tx).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Counted {
                playlist: row.playlist,
                plays: row.plays,
                owner: owner(row.owner)?,
            })
        })
        .collect()
}

/// The state of playlists before a batch that saves or deletes them, in the order asked; the default for
/// one that is not known. They stay locked until the transaction ends.
pub async fn before(tx: &mut Tx<'_>, playlists: &[&str]) -> Result<Vec<Playlist>, StoreError> {
    let rows = sqlx::query!(
        "SELECT playlist_id, plays, deleted, owner_id, name FROM playlists
         WHERE playlist_id = ANY($1::text[]) ORDER BY playlist_id FOR UPDATE",
        playlists as &[&str]
    );
    let mut known = std::collections::HashMap::new();
    for row in rows.fetch_all(&mut **tx).await? {
        let owner = row.owner_id.map(owner).transpose()?;
        known.insert(
            row.playlist_id,
            Playlist {
                plays: row.plays,
                deleted: row.deleted,
                owner,
                name: row.name,
            },
        );
    }
    Ok(playlists
        .iter()
        .map(|playlist| known.remove(*playlist).unwrap_or_default())
        .collect())
}

/// Writes the state of playlists after such a batch.
pub async fn put(tx: &mut Tx<'_>, playlists: &[(&str, &Playlist)]) -> Result<(), StoreError> {
    let ids: Vec<&str> = playlists.iter().map(|(id, _)| *id).collect();
    let plays: Vec<i64> = playlists.iter().map(|(_, playlist)| playlist.plays).collect();
    let deleted: Vec<bool> = playlists.iter().map(|(_, playlist)| playlist.deleted).collect();
    let owners: Vec<Option<&str>> = playlists
        .iter()
        .map(|(_, playlist)| playlist.owner.as_ref().map(UserId::as_str))
        .collect();
    let names: Vec<Option<&str>> = playlists
        .iter()
        .map(|(_, playlist)| playlist.name.as_deref())
        .collect();
    sqlx::query!(
        "INSERT INTO playlists (playlist_id, plays, deleted, owner_id, name)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::boolean[], $4::text[], $5::text[])
         ON CONFLICT (playlist_id) DO UPDATE
         SET plays = excluded.plays, deleted = excluded.deleted, owner_id = excluded.owner_id, name = excluded.name",
        &ids as &[&str],
        &plays,
        &deleted,
        &owners as &[Option<&str>],
        &names as &[Option<&str>]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a user's playlists add up to, and when that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Plays of the most played playlist, never below 0.
    pub best: i64,
    /// Plays of all playlists together.
    pub total: i64,
    /// By Postgres' clock.
    pub now: OffsetDateTime,
}

/// Adds up a user's playlists.
pub async fn facts(tx: &mut Tx<'_>, user: &str) -> Result<Facts, StoreError> {
    let facts = sqlx::query_as!(
        Facts,
        r#"SELECT greatest(coalesce(max(plays), 0), 0) AS "best!",
                  coalesce(sum(greatest(plays, 0)), 0)::bigint AS "total!", clock_timestamp() AS "now!"
           FROM playlists WHERE owner_id = $1 AND NOT deleted"#,
        user
    );
    Ok(facts.fetch_one(&mut **tx).await?)
}

fn owner(value: String) -> Result<UserId<'static>, StoreError> {
    UserId::parse(value.clone()).map_err(|_| StoreError::Inconsistent {
        table: "playlists",
        column: "owner_id",
        value,
    })
}
