//! Tables `playlists` and `retractions`: the counts.
//!
//! Owns the writing of counts. Must never read before it adds: on the hot path a batch is one update.

use std::collections::HashSet;

use super::playlist_lifecycles::Lifecycle;
use super::{LockGuard, StoreError, Tx};
use rolekeeper_domain::event;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::tally::Playlist;

/// A playlist with an owner, after plays were added.
#[derive(Debug)]
pub struct Counted {
    /// The playlist id.
    pub playlist: String,
    /// Plays after the batch.
    pub plays: i64,
    /// Change of the plays by the batch.
    pub delta: i64,
    /// Its owner.
    pub owner: UserId<'static>,
    /// The primary to which the owner is linked, if any.
    pub primary: Option<String>,
}

/// Result of adding plays by surrogate key.
#[derive(Debug)]
pub struct Keyed {
    /// Number of playlists found under their key.
    pub found: usize,
    /// Playlists whose owner may have to be queued.
    pub counted: Vec<Counted>,
}

/// Result of adding plays by id.
#[derive(Debug)]
pub struct Named {
    /// The existing playlists, by their index in the request, each with its key.
    pub found: Vec<(usize, i64)>,
    /// Playlists whose owner may have to be queued.
    pub counted: Vec<Counted>,
}

/// Stores the retracted plays; returns those that were not retracted before.
pub async fn retract(tx: &mut Tx<'_>, retracted: &[&str]) -> Result<HashSet<String>, StoreError> {
    let fresh = sqlx::query_scalar!(
        "INSERT INTO retractions (retracted_id) SELECT UNNEST($1::text[])
         ON CONFLICT DO NOTHING RETURNING retracted_id",
        retracted as &[&str]
    );
    Ok(fresh.fetch_all(&mut *tx).await?.into_iter().collect())
}

/// Adds plays to playlists by surrogate key, in order of key so that pages are touched in order. With `thresholds`
/// (thresholds, ascending), returns only playlists whose count crossed one, else all with an owner. A key of another
/// playlist changes nothing. A deleted playlist takes no plays.
pub async fn add_by_key(
    tx: &mut Tx<'_>,
    keys: &[i64],
    playlists: &[&str],
    deltas: &[i64],
    thresholds: Option<&[i64]>,
) -> Result<Keyed, StoreError> {
    let row = sqlx::query!(
        r#"WITH counted AS (
               UPDATE playlists p SET plays = p.plays + CASE WHEN p.deleted THEN 0 ELSE d.delta END
               FROM UNNEST($1::bigint[], $2::text[], $3::bigint[]) WITH ORDINALITY AS d(key, playlist_id, delta, place)
               WHERE p.key = d.key AND p.playlist_id = d.playlist_id
               RETURNING d.place, p.plays, CASE WHEN NOT p.deleted
                   AND ($4::bigint[] IS NULL OR width_bucket(p.plays, $4) <> width_bucket(p.plays - d.delta, $4))
               THEN p.owner_id END AS matters_to
           )
           -- one row however large the batch is: most playlists need no further work
           SELECT count(*) AS "found!",
               coalesce(array_agg(place) FILTER (WHERE matters_to IS NOT NULL), '{}') AS "places!: Vec<i64>",
               coalesce(array_agg(plays) FILTER (WHERE matters_to IS NOT NULL), '{}') AS "plays!: Vec<i64>",
               coalesce(array_agg(matters_to) FILTER (WHERE matters_to IS NOT NULL), '{}') AS "owners!: Vec<String>",
               coalesce(array_agg((SELECT i.primary_id FROM identities i WHERE i.alias = matters_to))
                   FILTER (WHERE matters_to IS NOT NULL), '{}') AS "primaries!: Vec<Option<String>>"
           FROM counted"#,
        keys,
        playlists as &[&str],
        deltas,
        thresholds as Option<&[i64]>
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok(Keyed {
        found: usize::try_from(row.found).unwrap_or_default(),
        counted: counted(
            (playlists, deltas),
            &row.places,
            row.plays.into_iter().zip(row.owners).zip(row.primaries),
        )?,
    })
}

/// The playlists at these positions (from 1) of the request, with the result for each.
fn counted(
    (playlists, deltas): (&[&str], &[i64]),
    places: &[i64],
    answered: impl Iterator<Item = ((i64, String), Option<String>)>,
) -> Result<Vec<Counted>, StoreError> {
    let asked = indexes(places).map(|index| (playlists[index], deltas[index]));
    let counted = asked
        .zip(answered)
        .map(|((playlist, delta), ((plays, owner_id), primary))| {
            Ok(Counted {
                playlist: playlist.to_owned(),
                plays,
                delta,
                owner: owner(owner_id)?,
                primary,
            })
        });
    counted.collect()
}

/// Converts Postgres' positions, from 1, to indexes.
fn indexes(places: &[i64]) -> impl Iterator<Item = usize> {
    places.iter().filter_map(|place| usize::try_from(place - 1).ok())
}

/// The playlists, by index, that do not have this key.
pub async fn stale_keys(tx: &mut Tx<'_>, keys: &[i64], playlists: &[&str]) -> Result<Vec<usize>, StoreError> {
    let places = sqlx::query_scalar!(
        r#"SELECT place AS "place!" FROM UNNEST($1::bigint[], $2::text[]) WITH ORDINALITY AS d(key, playlist_id, place)
           WHERE NOT EXISTS (SELECT FROM playlists p WHERE p.key = d.key AND p.playlist_id = d.playlist_id)"#,
        keys,
        playlists as &[&str]
    );
    let places = places.fetch_all(&mut *tx).await?;
    Ok(indexes(&places).collect())
}

/// Adds plays by id, in order of id. A playlist without a key gets one.
pub async fn add_by_id(
    tx: &mut Tx<'_>,
    playlists: &[&str],
    deltas: &[i64],
    thresholds: Option<&[i64]>,
) -> Result<Named, StoreError> {
    let row = sqlx::query!(
        r#"WITH counted AS (
               UPDATE playlists p
               SET plays = p.plays + CASE WHEN p.deleted THEN 0 ELSE d.delta END,
                   key = coalesce(p.key, nextval('playlist_keys'))
               FROM UNNEST($1::text[], $2::bigint[]) WITH ORDINALITY AS d(playlist_id, delta, place)
               WHERE p.playlist_id = d.playlist_id
               RETURNING d.place, p.key, p.plays, CASE WHEN NOT p.deleted
                   AND ($3::bigint[] IS NULL OR width_bucket(p.plays, $3) <> width_bucket(p.plays - d.delta, $3))
               THEN p.owner_id END AS matters_to
           )
           SELECT coalesce(array_agg(place), '{}') AS "found!: Vec<i64>",
               coalesce(array_agg(key), '{}') AS "keys!: Vec<i64>",
               coalesce(array_agg(place) FILTER (WHERE matters_to IS NOT NULL), '{}') AS "places!: Vec<i64>",
               coalesce(array_agg(plays) FILTER (WHERE matters_to IS NOT NULL), '{}') AS "plays!: Vec<i64>",
               coalesce(array_agg(matters_to) FILTER (WHERE matters_to IS NOT NULL), '{}') AS "owners!: Vec<String>",
               coalesce(array_agg((SELECT i.primary_id FROM identities i WHERE i.alias = matters_to))
                   FILTER (WHERE matters_to IS NOT NULL), '{}') AS "primaries!: Vec<Option<String>>"
           FROM counted"#,
        playlists as &[&str],
        deltas,
        thresholds as Option<&[i64]>
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok(Named {
        found: indexes(&row.found).zip(row.keys).collect(),
        counted: counted(
            (playlists, deltas),
            &row.places,
            row.plays.into_iter().zip(row.owners).zip(row.primaries),
        )?,
    })
}

/// Creates unknown playlists without an owner; returns the key of each. No other fold creates any meanwhile, since the
/// caller has locked the cursor.
pub async fn insert(
    tx: &mut Tx<'_>,
    playlists: &[&str],
    plays: &[i64],
) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"INSERT INTO playlists (playlist_id, plays, partition) SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::smallint[])
           RETURNING playlist_id, key AS "key!""#,
        playlists as &[&str],
        plays,
        &partitions(playlists)
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    Ok(rows.into_iter().map(|row| (row.playlist_id, row.key)).collect())
}

/// Whether Postgres refused a key as taken: the sequence is behind, as after a logical replication without sequences.
#[must_use]
pub fn is_key_taken(why: &StoreError) -> bool {
    let StoreError::Postgres(sqlx::Error::Database(said)) = why else {
        return false;
    };
    said.constraint() == Some("playlists_key")
}

/// Moves the sequence of keys behind the largest one in use.
pub async fn repair_keys(lock: &mut LockGuard) -> Result<i64, StoreError> {
    let mut tx = lock.begin().await?;
    let largest = sqlx::query_scalar!(r#"SELECT repair_playlist_keys() AS "largest!""#);
    let largest = largest.fetch_one(&mut tx).await?;
    tx.commit().await?;
    crash_point!("keys_repaired");
    Ok(largest)
}

/// The state of playlists before a batch that saves or deletes them, in the requested order; the default for an unknown
/// one. The rows stay locked until the transaction ends.
pub async fn before(tx: &mut Tx<'_>, playlists: &[&str]) -> Result<Vec<Playlist>, StoreError> {
    let rows = sqlx::query!(
        "SELECT playlist_id, plays, deleted, owner_id, name FROM playlists
         WHERE playlist_id = ANY($1::text[]) ORDER BY playlist_id FOR UPDATE",
        playlists as &[&str]
    );
    let mut known = std::collections::HashMap::new();
    for row in rows.fetch_all(&mut *tx).await? {
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

/// Writes the state of playlists after a batch that saves or deletes them, with the life that the batch gave each: the times in
/// it are later than the stored ones, or missing.
pub async fn put(tx: &mut Tx<'_>, playlists: &[(&str, &Playlist, &Lifecycle)]) -> Result<(), StoreError> {
    let ids: Vec<&str> = playlists.iter().map(|(id, ..)| *id).collect();
    let plays: Vec<i64> = playlists.iter().map(|(_, playlist, _)| playlist.plays).collect();
    let deleted: Vec<bool> = playlists
        .iter()
        .map(|(_, playlist, _)| playlist.deleted)
        .collect();
    let owners: Vec<Option<&str>> = playlists
        .iter()
        .map(|(_, playlist, _)| playlist.owner.as_ref().map(UserId::as_str))
        .collect();
    let names: Vec<Option<&str>> = playlists
        .iter()
        .map(|(_, playlist, _)| playlist.name.as_deref())
        .collect();
    let since: Vec<Option<i64>> = playlists.iter().map(|(.., life)| life.since_ns).collect();
    let changed: Vec<Option<i64>> = playlists.iter().map(|(.., life)| life.changed_ns).collect();
    sqlx::query!(
        "INSERT INTO playlists (playlist_id, plays, deleted, owner_id, name, saved_again_ns, changed_ns, partition)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::boolean[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
             $8::smallint[])
         ON CONFLICT (playlist_id) DO UPDATE
         SET plays = excluded.plays, deleted = excluded.deleted, owner_id = excluded.owner_id, name = excluded.name,
             saved_again_ns = coalesce(excluded.saved_again_ns, playlists.saved_again_ns),
             changed_ns = greatest(excluded.changed_ns, playlists.changed_ns)",
        &ids as &[&str],
        &plays,
        &deleted,
        &owners as &[Option<&str>],
        &names as &[Option<&str>],
        &since as &[Option<i64>],
        &changed as &[Option<i64>],
        &partitions(&ids)
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The partition of this playlist in the stream, as it is stored.
#[must_use]
pub fn partition(playlist: &str) -> i16 {
    i16::try_from(event::partition(playlist)).unwrap_or_default()
}

/// The partitions of these playlists in the stream.
pub(super) fn partitions(playlists: &[&str]) -> Vec<i16> {
    playlists.iter().map(|id| partition(id)).collect()
}

pub(super) fn owner(value: String) -> Result<UserId<'static>, StoreError> {
    UserId::parse(value.clone()).map_err(|_| StoreError::Inconsistent {
        table: "playlists",
        column: "owner_id",
        value,
    })
}
