//! Adds lines of past plays and counts to the facts.
//!
//! Owns that each line counts once: the position in the file moves in the transaction of its counts, while no fold runs. Must never
//! change a role: the roles of the owners are held from that transaction on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::affected_users::total_deltas;
use super::increments;
use super::key_cache::KeyCache;
use crate::bus::APP_EVENTS;
use crate::store::imports::{self, Effect};
use crate::store::{
    Store, StoreError, Tx, bases, event_ids, kept_letters, owner_totals, playlist_lifecycles, playlists,
};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::import::{Past, Plays};
use rolekeeper_domain::rule::Rules;

/// Lines of a file that are counted together.
#[derive(Debug, Default)]
pub struct Lines {
    /// They.
    pub past: Vec<Past>,
    /// Number of the line before them up to which all lines are counted.
    pub from: i64,
    /// Number of the last of them.
    pub to: i64,
}

/// Counts lines.
pub struct Count<'a> {
    store: &'a Store,
    rules: &'a Rules,
    source: &'a str,
    keys: KeyCache,
}

/// The reason why lines were not counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// Postgres failed. Only Postgres knows then whether the lines were counted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No worker has begun to fold plays.
    #[error("no worker has folded APP_EVENTS yet: start a worker first")]
    NotFolded,
    /// The rules were changed.
    #[error("other rules came into force: run the command again")]
    OtherRules,
    /// The position is not where it was.
    #[error(
        "another run of this import has counted lines meanwhile: wait for its end, then run the command again"
    )]
    OtherRun,
    /// A release has stopped the import.
    #[error("the import was released before its end: no more of its lines are counted")]
    Released,
}

impl<'a> Count<'a> {
    /// Counts lines of the file with this hash, under the rules in force.
    #[must_use]
    pub fn new(store: &'a Store, rules: &'a Rules, source: &'a str) -> Self {
        Self {
            store,
            rules,
            source,
            keys: KeyCache::new(),
        }
    }

    /// Counts the next lines, in one transaction; with `last`, they are the last ones of the file. Safe to repeat.
    ///
    /// # Errors
    /// None of these lines was counted, unless Postgres did not respond.
    pub async fn lines(&mut self, lines: &Lines, last: Option<&Act>) -> Result<(), CountError> {
        let mut tx = self.store.begin().await?;
        match kept_letters::stop_folds(&mut tx, APP_EVENTS, &self.rules.fingerprint()).await? {
            None => return Err(CountError::NotFolded),
            Some((_, false)) => return Err(CountError::OtherRules),
            Some((_, true)) => {}
        }
        let (sums, effect) = sums(&mut tx, &lines.past).await?;
        if !imports::advance(&mut tx, self.source, (lines.from, lines.to), &effect).await? {
            return Err(if imports::is_stopped(&mut tx, self.source).await? {
                CountError::Released
            } else {
                CountError::OtherRun
            });
        }
        self.add(&mut tx, &sums).await?;
        if let Some(act) = last {
            imports::end(&mut tx, self.source, act).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        crash_point!("lines_counted");
        Ok(())
    }

    /// Adds to the playlists, and holds the roles of their owners.
    async fn add(&mut self, tx: &mut Tx<'_>, sums: &BTreeMap<&str, i64>) -> Result<(), StoreError> {
        let sums: Vec<(&str, i64)> = sums.iter().map(|(id, plays)| (*id, *plays)).collect();
        let partitions: BTreeSet<i16> = sums.iter().map(|(id, _)| playlists::partition(id)).collect();
        // No message of the stream tells these plays.
        bases::forget(tx, &partitions.into_iter().collect::<Vec<_>>()).await?;
        let mut primaries = HashMap::new();
        let touched = increments::add_all(tx, &sums, &mut self.keys, &mut primaries).await?;
        let owners = touched.iter().filter_map(|one| one.after.owner.as_ref());
        let owners: BTreeSet<&str> = owners.map(UserId::as_str).collect();
        let owners: Vec<&str> = owners.into_iter().collect();
        imports::hold(tx, self.source, &owners).await?;
        if self.rules.need_totals() {
            let deltas = total_deltas(&touched, &primaries);
            let (users, changes): (Vec<&str>, Vec<i64>) =
                deltas.iter().map(|(user, delta)| (user.as_str(), *delta)).unzip();
            owner_totals::add(tx, &users, &changes).await?;
        }
        Ok(())
    }
}

/// The plays that the lines add to each playlist, and their effect.
async fn sums<'p>(tx: &mut Tx<'_>, past: &'p [Past]) -> Result<(BTreeMap<&'p str, i64>, Effect), StoreError> {
    let events = past.iter().filter_map(|one| match &one.plays {
        Plays::One { event, .. } => Some(event.as_str()),
        Plays::Count(_) => None,
    });
    let events: Vec<&str> = events.collect();
    let mut fresh = imports::remember(tx, &events).await?;
    let partitions = event_ids::partitions_now(tx).await?;
    let partitions: Vec<i64> = partitions.iter().map(|partition| partition.from).collect();
    let streamed = event_ids::known(tx, &partitions, &events).await?;
    fresh.retain(|event| !streamed.contains_key(event));
    let playlists: BTreeSet<&str> = past.iter().map(|one| one.playlist.as_str()).collect();
    let playlists: Vec<&str> = playlists.into_iter().collect();
    let lives = playlist_lifecycles::of(tx, &playlists).await?;
    let (mut sums, mut effect) = (BTreeMap::new(), Effect::default());
    for one in past {
        let life = lives.get(one.playlist.as_str());
        let plays = match &one.plays {
            Plays::Count(plays) => *plays,
            Plays::One { event, .. } if !fresh.remove(event.as_str()) => {
                effect.known += 1;
                continue;
            }
            Plays::One { .. } => 1,
        };
        let before = |at: time::OffsetDateTime| {
            let since = life.and_then(|life| life.since_ns);
            since.is_some_and(|since| at.unix_timestamp_nanos() < i128::from(since))
        };
        let is_past = matches!(&one.plays, Plays::One { at: Some(at), .. } if before(*at));
        if is_past || life.is_some_and(|life| life.deleted) {
            effect.no_effect += 1;
            continue;
        }
        effect.counted += 1;
        effect.plays += plays;
        *sums.entry(one.playlist.as_str()).or_default() += plays;
    }
    sums.retain(|_, plays| *plays > 0);
    Ok((sums, effect))
}
