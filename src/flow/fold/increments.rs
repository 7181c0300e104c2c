//! Adds the plays and retractions of a batch to the counts.
//!
//! Owns how a playlist is found: by its key where that is remembered, otherwise by its id. Must never read before it
//! adds, nor return playlists that cannot affect a user.

use std::borrow::Cow;
use std::collections::HashMap;

use super::affected_users::Touched;
use super::key_cache::KeyCache;
use crate::store::{Counted, StoreError, Tx, playlists};
use rolekeeper_domain::rule::{Measure, Rules};
use rolekeeper_domain::tally::Playlist;

/// Adds to playlists that were only played. Returns the playlists with an owner that this can affect: all of them where
/// a rule sums all playlists, otherwise those whose count crossed a threshold. The primaries of linked owners go to `primaries`.
pub(super) async fn add(
    tx: &mut Tx<'_>,
    increments: &[(&str, i64)],
    rules: &Rules,
    key_cache: &mut KeyCache,
    primaries: &mut HashMap<String, String>,
) -> Result<Vec<Touched<'static>>, StoreError> {
    let thresholds = rules.thresholds(Measure::BestPlaylist);
    let thresholds = (!rules.need_totals()).then_some(thresholds.as_slice());
    add_across(tx, increments, thresholds, key_cache, primaries).await
}

/// Adds to playlists. Returns all playlists with an owner. The primaries of linked owners go to `primaries`.
pub(super) async fn add_all(
    tx: &mut Tx<'_>,
    increments: &[(&str, i64)],
    key_cache: &mut KeyCache,
    primaries: &mut HashMap<String, String>,
) -> Result<Vec<Touched<'static>>, StoreError> {
    add_across(tx, increments, None, key_cache, primaries).await
}

/// Adds to playlists. Returns those with an owner whose count crossed one of the thresholds, or all with an owner.
async fn add_across(
    tx: &mut Tx<'_>,
    increments: &[(&str, i64)],
    thresholds: Option<&[i64]>,
    key_cache: &mut KeyCache,
    primaries: &mut HashMap<String, String>,
) -> Result<Vec<Touched<'static>>, StoreError> {
    let mut keyed = Vec::with_capacity(increments.len());
    let mut named = Vec::new();
    for &(playlist, delta) in increments {
        match key_cache.get(playlist) {
            Some(key) => keyed.push((key, playlist, delta)),
            None => named.push((playlist, delta)),
        }
    }
    let mut affecting = Vec::new();
    if !keyed.is_empty() {
        affecting.extend(by_key(tx, keyed, &mut named, thresholds).await?);
    }
    if !named.is_empty() {
        affecting.extend(by_id(tx, named, thresholds, key_cache).await?);
    }
    for one in &mut affecting {
        if let Some(primary) = one.primary.take() {
            primaries.insert(one.owner.as_str().to_owned(), primary);
        }
    }
    Ok(affecting.into_iter().map(touched).collect())
}

/// Adds by key. Playlists that are not found under their key move to `named`.
async fn by_key<'b>(
    tx: &mut Tx<'_>,
    mut keyed: Vec<(i64, &'b str, i64)>,
    named: &mut Vec<(&'b str, i64)>,
    thresholds: Option<&[i64]>,
) -> Result<Vec<Counted>, StoreError> {
    keyed.sort_unstable_by_key(|(key, ..)| *key);
    let keys: Vec<i64> = keyed.iter().map(|(key, ..)| *key).collect();
    let (ids, deltas): (Vec<&str>, Vec<i64>) = keyed.iter().map(|(_, id, delta)| (*id, *delta)).unzip();
    let added = playlists::add_by_key(tx, &keys, &ids, &deltas, thresholds).await?;
    if added.found != keyed.len() {
        // The key is wrong: another playlist overwrote the place, or the database is an older copy.
        let wrong = playlists::stale_keys(tx, &keys, &ids).await?;
        named.extend(wrong.into_iter().map(|index| (ids[index], deltas[index])));
        named.sort_unstable();
    }
    Ok(added.counted)
}

/// Adds by id, in sorted order, and creates missing playlists. Their keys are remembered.
async fn by_id(
    tx: &mut Tx<'_>,
    named: Vec<(&str, i64)>,
    thresholds: Option<&[i64]>,
    key_cache: &mut KeyCache,
) -> Result<Vec<Counted>, StoreError> {
    let (ids, deltas): (Vec<&str>, Vec<i64>) = named.iter().copied().unzip();
    let there = playlists::add_by_id(tx, &ids, &deltas, thresholds).await?;
    for &(index, key) in &there.found {
        key_cache.learn(ids[index], key);
    }
    if there.found.len() < named.len() {
        let mut missing = vec![true; named.len()];
        for (index, _) in &there.found {
            missing[*index] = false;
        }
        let missing = named.iter().zip(missing).filter(|(_, missing)| *missing);
        let (ids, deltas): (Vec<&str>, Vec<i64>) = missing.map(|(add, _)| *add).unzip();
        for (playlist, key) in playlists::insert(tx, &ids, &deltas).await? {
            key_cache.learn(&playlist, key);
        }
    }
    Ok(there.counted)
}

fn touched(counted: Counted) -> Touched<'static> {
    let after = Playlist {
        plays: counted.plays,
        owner: Some(counted.owner),
        ..Playlist::default()
    };
    Touched {
        id: Cow::Owned(counted.playlist),
        before: Playlist {
            plays: counted.plays - counted.delta,
            ..after.clone()
        },
        after,
    }
}
