//! Folds plays and playlists: a batch of APP_EVENTS into counts and the work queue.
//!
//! Owns the order of the writes. Must never read playlists one by one on the hot path: plays are one update, and its
//! returned rows show which owners crossed a threshold.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::affected_users::{AffectedUsers, Read, Touched, owners, total_deltas};
use super::dead_letter::dead_letter;
use super::done::Done;
use super::key_cache::KeyCache;
use super::playlist_lifecycles::{self, PlaylistLifecycles};
use super::replaced::Replacements;
use super::{dedup, increments};
use crate::bus::{APP_EVENTS, Message};
use crate::clock;
use crate::store::cursor_advance::Move;
use crate::store::playlist_lifecycles::Lifecycle;
use crate::store::{
    DeadLetter, LockGuard, StoreError, Tx, dead_letters, debts, erasures, identities, imports, owner_totals,
    playlists, work_queue,
};
use rolekeeper_domain::dedup_window::Partition;
use rolekeeper_domain::erasure::ErasureKey;
use rolekeeper_domain::event::{self, Event, EventKind, Reject};
use rolekeeper_domain::rule::{Measure, Rules};
use rolekeeper_domain::tally::{self, Playlist, Tally};

/// Largest batch, in messages, that goes in one round trip. Up to this size the round trips take most of the time; in a
/// larger batch the rows do, which are read twice that way.
const MAX_FAST_PATH_BATCH: usize = 100;

/// A batch, parsed while the one before it is committed.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) read: Read,
    /// Messages that could not be read.
    dead: Vec<(Message, Reject)>,
}

impl Batch {
    /// Creates an empty batch with room for this many messages.
    pub(super) fn with_room(room: usize) -> Self {
        Self {
            read: Read {
                events: Vec::with_capacity(room),
                stored_ns: Vec::with_capacity(room),
                seqs: Vec::with_capacity(room),
                messages: Vec::new(),
                traces: HashMap::new(),
            },
            dead: Vec::new(),
        }
    }

    /// Parses one more message. With `keep` the message stays beside its event.
    pub(super) fn push(&mut self, mut message: Message, keep: bool) {
        let trace = message.trace.take();
        match event::parse(message.subject(), message.headers(), message.payload()) {
            Ok(event) => {
                self.read.events.push(event.into_owned());
                self.read.stored_ns.push(message.stored_ns);
                self.read.seqs.push(message.seq);
                if let Some(trace) = trace {
                    self.read.traces.insert(message.seq, trace);
                }
                if keep {
                    self.read.messages.push(message);
                }
            }
            Err(reject) => self
                .dead
                .push((message.shortened(dead_letters::KEPT_BYTES), reject)),
        }
    }

    /// Why the first message that could not be read was refused, if there is one.
    pub(super) fn reject(&self) -> Option<String> {
        self.dead.first().map(|(_, reject)| reject.to_string())
    }

    pub(super) fn len(&self) -> usize {
        self.read.events.len() + self.dead.len()
    }
}

/// Folds a small batch of plays alone together with the cursor, in one round trip to Postgres. Returns nothing when the
/// batch is of another kind, or when Postgres took none of it: the batch then takes the long way.
pub(super) async fn fold_on_fast_path(
    lock: &mut LockGuard,
    to: &Move<'_>,
    batch: &Batch,
    rules: &Rules,
) -> Result<Option<Done>, StoreError> {
    let Batch { read, dead } = batch;
    let only_plays = || {
        read.events
            .iter()
            .all(|event| matches!(event.kind, EventKind::Play))
    };
    if batch.len() > MAX_FAST_PATH_BATCH || !dead.is_empty() || rules.need_totals() || !only_plays() {
        return Ok(None);
    }
    let (playlists, deltas): (Vec<&str>, Vec<i64>) =
        tally::tally(&read.events).increments.into_iter().unzip();
    let thresholds = rules.thresholds(Measure::BestPlaylist);
    let counted = lock
        .count_on_fast_path(to, &playlists, &deltas, &thresholds)
        .await?;
    Ok(counted.then(|| Done {
        messages: batch.len() as u64,
        ..Done::default()
    }))
}

/// Folds one batch inside the cursor's transaction. `partitions` are the partitions where ids are remembered, if they are.
pub(super) async fn fold(
    tx: &mut Tx<'_>,
    batch: Batch,
    rules: &Rules,
    key: Option<&ErasureKey>,
    partitions: Option<&[Partition]>,
    key_cache: &mut KeyCache,
) -> Result<Done, StoreError> {
    let (messages, since) = (batch.len() as u64, clock::now());
    let Batch { mut read, mut dead } = batch;
    let mut replacements = Replacements::default();
    let erased = drop_erased(tx, &mut read, key, &mut replacements).await?;
    let duplicates = match partitions {
        Some(partitions) => {
            dedup::drop_duplicates(tx, (&mut read, &mut dead), partitions, &mut replacements).await?
        }
        None => 0,
    };
    let lifecycles = match partitions {
        Some(partitions) => PlaylistLifecycles::read(tx, &read, partitions).await?,
        None => PlaylistLifecycles::default(),
    };
    let retracted: Vec<String> = tally::retracted(&read.events)
        .into_iter()
        .map(|token| token.as_str().to_owned())
        .collect();
    if !retracted.is_empty() {
        let ids: Vec<&str> = retracted.iter().map(String::as_str).collect();
        let mut fresh = playlists::retract(tx, &ids).await?;
        fresh.retain(|id| !lifecycles.past.contains(id));
        tally::void_duplicates(&mut read.events, &fresh);
        replacements.note(&read, |event| matches!(event.kind, EventKind::Duplicate));
    }
    replacements.keep(tx).await?;
    let sums = tally::tally(&read.events);
    let mut touched = save_and_delete(tx, &read, &sums).await?;
    // Of plays alone the next statement returns the primaries too.
    let mut primaries = identities::primaries(tx, &owners(&touched)).await?;
    touched.extend(increments::add(tx, &sums.increments, rules, key_cache, &mut primaries).await?);
    let below_zero = below_zero(tx, &read).await?;

    let mut affected_users = AffectedUsers::new(&read, rules, &primaries);
    for one in &touched {
        affected_users.compare(one);
    }
    if rules.need_totals() {
        let deltas = total_deltas(&touched, &primaries);
        let (users, changes): (Vec<&str>, Vec<i64>) =
            deltas.iter().map(|(user, delta)| (user.as_str(), *delta)).unzip();
        let totals = owner_totals::add(tx, &users, &changes).await?;
        let totals: Vec<_> = totals
            .into_iter()
            .map(|(user, total)| {
                let delta = deltas.get(&user).copied().unwrap_or_default();
                (user, total, delta)
            })
            .collect();
        affected_users.compare_totals(&totals, &touched);
    }
    let (mut users, spans) = affected_users.into_list(since);
    work_queue::enqueue(tx, &mut users).await?;
    let dead: Vec<DeadLetter<'_>> = dead
        .iter()
        .map(|(message, reject)| dead_letter(message, reject))
        .collect();
    dead_letters::keep(tx, APP_EVENTS, &dead).await?;
    Ok(Done {
        messages,
        erased,
        duplicates,
        below_zero,
        other_tenant: Vec::new(),
        rejected: dead.iter().map(|letter| letter.reason).collect(),
        spans,
    })
}

/// Number of retracted playlists that are below 0 now: a retraction may only be ahead of its play.
async fn below_zero(tx: &mut Tx<'_>, read: &Read) -> Result<u64, StoreError> {
    let retracted = read
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Retraction { .. }));
    let ids: BTreeSet<&str> = retracted.map(|event| event.playlist.as_str()).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    let ids: Vec<&str> = ids.into_iter().collect();
    Ok(debts::below_zero(tx, &ids).await?.unsigned_abs())
}

/// Drops events that name an erased person as an owner; returns their number. If the playlist has another owner, the
/// event becomes a deletion: the playlist is no longer theirs either. Only in that case does an event name a user who
/// is not erased.
async fn drop_erased(
    tx: &mut Tx<'_>,
    read: &mut Read,
    key: Option<&ErasureKey>,
    replacements: &mut Replacements,
) -> Result<u64, StoreError> {
    let owner = |event: &Event<'_>| match &event.kind {
        EventKind::Saved { owner, .. } => Some(owner.as_str().to_owned()),
        _ => None,
    };
    let owners: BTreeSet<String> = read.events.iter().filter_map(owner).collect();
    let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
    let erased = erasures::among(tx, key, &owners).await?;
    if erased.is_empty() {
        return Ok(0);
    }
    let is_erased = |event: &Event<'_>| owner(event).is_some_and(|owner| erased.contains(&owner));
    let of_erased = read.events.iter().filter(|event| is_erased(event));
    let ids: BTreeSet<String> = of_erased
        .map(|event| event.playlist.as_str().to_owned())
        .collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let known = ids.iter().zip(playlists::before(tx, &ids).await?);
    let mut owned: BTreeSet<String> = known
        .filter(|(_, known)| known.owner.is_some())
        .map(|(id, _)| (*id).to_owned())
        .collect();
    let mut dropped = 0;
    for (event, seq) in read.events.iter_mut().zip(&read.seqs) {
        if is_erased(event) {
            let has_owner = owned.remove(event.playlist.as_str());
            replacements.add(event, *seq, has_owner);
            event.kind = if has_owner {
                EventKind::Deleted { owner: None }
            } else {
                EventKind::Duplicate
            };
            dropped += 1;
        } else if owner(event).is_some() {
            owned.insert(event.playlist.as_str().to_owned());
        }
    }
    Ok(dropped)
}

/// Playlists that were saved or deleted: read, changed, written.
async fn save_and_delete<'b>(
    tx: &mut Tx<'_>,
    read: &Read,
    sums: &Tally<'b>,
) -> Result<Vec<Touched<'b>>, StoreError> {
    if sums.lifecycle_steps.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = sums.lifecycle_steps.iter().map(|(id, _)| *id).collect();
    let before = playlists::before(tx, &ids).await?;
    let touched: Vec<Touched<'b>> = sums
        .lifecycle_steps
        .iter()
        .zip(before)
        .map(|((id, steps), before)| Touched {
            id: Cow::Borrowed(id),
            after: tally::apply(before.clone(), steps),
            before,
        })
        .collect();
    let changed = touched.iter().filter_map(|one| {
        let (former, present) = (one.before.owner.as_ref()?, one.after.owner.as_ref()?);
        (former != present).then_some((former.as_str(), present.as_str()))
    });
    imports::hold_new_owners(tx, &changed.collect::<Vec<_>>()).await?;
    let lives = playlist_lifecycles::of_batch(read, &touched);
    let rows: Vec<(&str, &Playlist, &Lifecycle)> = touched
        .iter()
        .filter_map(|one| Some((one.id.as_ref(), &one.after, lives.get(one.id.as_ref())?)))
        .collect();
    playlists::put(tx, &rows).await?;
    Ok(touched)
}
