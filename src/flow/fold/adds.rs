//! Adds the plays and retractions of a batch to the counts.
//!
//! Owns how a playlist is found: by its number where that is remembered, otherwise by its id. Must never read before it
//! adds, nor return playlists that cannot affect a user.

use std::borrow::Cow;

use super::affected_users::Touched;
use super::numbers::Numbers;
use crate::store::{Counted, StoreError, Tx, playlists};
use rolekeeper_domain::rule::{Measure, Rules};
use rolekeeper_domain::tally::Playlist;

/// Adds to playlists that were only played. Returns the playlists with an owner that this can affect: all of them where
/// a rule sums all playlists, otherwise those whose count crossed a threshold.
pub(super) async fn add(
    tx: &mut Tx<'_>,
    adds: &[(&str, i64)],
    rules: &Rules,
    numbers: &mut Numbers,
) -> Result<Vec<Touched<'static>>, StoreError> {
    let lines = rules.lines(Measure::BestPlaylist);
    let lines = (!rules.need_totals()).then_some(lines.as_slice());
    let mut numbered = Vec::with_capacity(adds.len());
    let mut named = Vec::new();
    for &(playlist, delta) in adds {
        match numbers.get(playlist) {
            Some(number) => numbered.push((number, playlist, delta)),
            None => named.push((playlist, delta)),
        }
    }
    let mut touched = Vec::new();
    if !numbered.is_empty() {
        touched.extend(by_number(tx, numbered, &mut named, lines).await?);
    }
    if !named.is_empty() {
        touched.extend(by_id(tx, named, lines, numbers).await?);
    }
    Ok(touched)
}

/// Adds by number. Playlists that are not found under their number move to `named`.
async fn by_number<'b>(
    tx: &mut Tx<'_>,
    mut numbered: Vec<(i64, &'b str, i64)>,
    named: &mut Vec<(&'b str, i64)>,
    lines: Option<&[i64]>,
) -> Result<Vec<Touched<'static>>, StoreError> {
    numbered.sort_unstable_by_key(|(number, ..)| *number);
    let numbers: Vec<i64> = numbered.iter().map(|(number, ..)| *number).collect();
    let (ids, deltas): (Vec<&str>, Vec<i64>) = numbered.iter().map(|(_, id, delta)| (*id, *delta)).unzip();
    let added = playlists::add_by_number(tx, &numbers, &ids, &deltas, lines).await?;
    if added.found != numbered.len() {
        // The number is wrong: another playlist overwrote the place, or the database is an older copy.
        let wrong = playlists::misnumbered(tx, &numbers, &ids).await?;
        named.extend(wrong.into_iter().map(|index| (ids[index], deltas[index])));
        named.sort_unstable();
    }
    Ok(added.counted.into_iter().map(touched).collect())
}

/// Adds by id, in sorted order, and creates missing playlists. Their numbers are remembered.
async fn by_id(
    tx: &mut Tx<'_>,
    named: Vec<(&str, i64)>,
    lines: Option<&[i64]>,
    numbers: &mut Numbers,
) -> Result<Vec<Touched<'static>>, StoreError> {
    let (ids, deltas): (Vec<&str>, Vec<i64>) = named.iter().copied().unzip();
    let there = playlists::add_by_id(tx, &ids, &deltas, lines).await?;
    for &(index, number) in &there.found {
        numbers.learn(ids[index], number);
    }
    if there.found.len() < named.len() {
        let mut missing = vec![true; named.len()];
        for (index, _) in &there.found {
            missing[*index] = false;
        }
        let missing = named.iter().zip(missing).filter(|(_, missing)| *missing);
        let (ids, deltas): (Vec<&str>, Vec<i64>) = missing.map(|(add, _)| *add).unzip();
        for (playlist, number) in playlists::insert(tx, &ids, &deltas).await? {
            numbers.learn(&playlist, number);
        }
    }
    Ok(there.counted.into_iter().map(touched).collect())
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
