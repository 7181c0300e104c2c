//! Folds the message of a dead letter again.
//!
//! Owns that it counts exactly once: the letter is marked in the transaction of its effect, while no fold runs. The message keeps
//! its place in the stream's order: an effect that later messages replaced does not return. Must never fold a message that the
//! fold will read by itself, nor one whose event has counted.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::app_events;
use super::auth0_logs::{self, Own};
use super::key_cache::KeyCache;
use super::replaced;
use crate::bus::{AUTH0_LOGS, Bus, BusError, Message, Stored, Which};
use crate::store::{
    Fault, Handled, Letter, LetterKey, Store, StoreError, Tx, bases, event_ids, kept_letters,
    playlist_lifecycles, playlists,
};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::dedup_window::{self, Partition};
use rolekeeper_domain::event::{Event, EventKind};
use rolekeeper_domain::rule::Rules;
use rolekeeper_domain::tenant::TenantName;

/// The refusal of an event that may have counted under its id.
const FORGOTTEN: &str = "event ids of that time are no longer remembered (DEDUP_WINDOW), so the event has counted if the app sent it \
                         again: add --not-counted if it did not";
/// The refusal of a message that the fold may have read again.
const READ_AGAIN: &str = "the cursor was set back (accept-stream) after this message became a dead letter, so the fold has counted it if \
                          the stream still held it: add --not-counted if it did not";

/// The things that a requeue needs.
pub struct Requeue<'a> {
    /// Where facts are stored.
    pub store: &'a Store,
    /// Connection to the streams, for messages of which only the beginning was stored.
    pub bus: &'a Bus,
    /// The rules in force.
    pub rules: Rules,
    /// Our own client id at Auth0, and the tenant's name in its records; needed for records of the tenant's log.
    pub own: Option<(String, Option<TenantName>)>,
    /// The operator states that the events have not counted in another way.
    pub not_counted: bool,
    keys: KeyCache,
    /// For each stream, the epoch of its cursor with the places to which the operator had set it until then, and when.
    set_back: HashMap<String, (i64, Vec<(OffsetDateTime, i64)>)>,
}

/// The result of a requeue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requeued {
    /// The letter is handled now.
    Done(Handled),
    /// The event names an erased user: the letter is removed.
    Erased,
    /// The letter was handled before.
    Before(String),
    /// The letter was removed meanwhile.
    Gone,
    /// The message was not folded, and the letter waits as before.
    Refused(String),
}

/// The reason why a requeue failed.
#[derive(Debug, thiserror::Error)]
pub enum RequeueError {
    /// Postgres failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// JetStream failed.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// The effect of a message, before it is committed.
enum Effect {
    Marks(Handled, Option<String>),
    Erased,
    Refused(String),
}

impl<'a> Requeue<'a> {
    /// Creates a requeue under these rules.
    #[must_use]
    pub fn new(
        (store, bus): (&'a Store, &'a Bus),
        rules: Rules,
        own: Option<(String, Option<TenantName>)>,
        not_counted: bool,
    ) -> Self {
        Self {
            store,
            bus,
            rules,
            own,
            not_counted,
            keys: KeyCache::new(),
            set_back: HashMap::new(),
        }
    }

    /// Folds the message of a letter, if it was not handled before. Safe to repeat.
    ///
    /// # Errors
    /// Postgres or JetStream does not respond. Only Postgres knows then whether the message was folded: repeat.
    pub async fn letter(&mut self, letter: &Letter, act: &Act) -> Result<Requeued, RequeueError> {
        if let Some((handled, _)) = letter.handled.as_ref().filter(|(word, _)| is_final(word)) {
            return Ok(Requeued::Before(handled.clone()));
        }
        let Some(cursor) = self.store.cursor(&letter.key.stream).await? else {
            return Ok(refused("the stream was never folded"));
        };
        let is_ahead = letter.key.seq > cursor.last_seq;
        let stored = if is_ahead || letter.is_cut() {
            self.stored(&letter.key).await?
        } else {
            None
        };
        if is_ahead && stored.is_some() {
            let at = cursor.last_seq;
            return Ok(refused(format!(
                "the cursor was set back to {at}, so the fold reads this message again by itself"
            )));
        }
        if !self.not_counted && self.was_read_again(letter, cursor.epoch).await? {
            return Ok(refused(READ_AGAIN));
        }
        let message = match stored {
            Some(stored) => stored,
            None if letter.is_cut() => {
                let (kept, size) = (letter.payload.len(), letter.size);
                return Ok(refused(format!(
                    "only the first {kept} of its {size} bytes were stored, and the stream no longer holds it: let the app send \
                     the event again"
                )));
            }
            None => of_letter(letter),
        };
        let mut tx = self.store.begin().await?;
        let stopped =
            kept_letters::stop_folds(&mut tx, &letter.key.stream, &self.rules.fingerprint()).await?;
        match stopped {
            Some((epoch, true)) if epoch == cursor.epoch => {}
            Some((_, false)) => return Ok(refused("other rules came into force: run the command again")),
            _ => return Ok(refused("the operator has set the cursor: run the command again")),
        }
        match kept_letters::lock(&mut tx, &letter.key).await? {
            None => return Ok(Requeued::Gone),
            Some(Some(handled)) if is_final(&handled) => return Ok(Requeued::Before(handled)),
            Some(_) => {}
        }
        let message = message.into_message(0);
        let folded = if letter.key.stream == AUTH0_LOGS {
            self.fold_record(&mut tx, message).await
        } else {
            self.fold_event(&mut tx, message).await
        };
        let effect = match folded {
            Err(why) if matches!(why.fault(), Some(Fault::Refused(_))) => Effect::Refused(why.to_string()),
            effect => effect?,
        };
        Ok(self.finish(tx, letter, effect, act).await?)
    }

    /// Marks the letter and commits, or takes all back.
    async fn finish(
        &self,
        mut tx: Tx<'_>,
        letter: &Letter,
        effect: Effect,
        act: &Act,
    ) -> Result<Requeued, StoreError> {
        let (requeued, outcome) = match effect {
            Effect::Refused(why) => return Ok(Requeued::Refused(why)),
            Effect::Marks(handled, event_id) => {
                kept_letters::mark(&mut tx, &letter.key, handled, event_id.as_deref()).await?;
                (Requeued::Done(handled), handled.as_str())
            }
            Effect::Erased => {
                kept_letters::remove(&mut tx, &letter.key).await?;
                (Requeued::Erased, "removed: it names an erased user")
            }
        };
        kept_letters::acted(&mut tx, act, outcome).await?;
        tx.commit().await?;
        crash_point!("requeued");
        Ok(requeued)
    }

    async fn fold_event(&mut self, tx: &mut Tx<'_>, message: Message) -> Result<Effect, StoreError> {
        let mut batch = app_events::Batch::with_room(1);
        batch.push(message.clone(), true);
        if let Some(why) = batch.reject() {
            return Ok(Effect::Refused(why));
        }
        let Some(event) = batch.read.events.first().cloned() else {
            return Ok(Effect::Refused("the message holds no event".to_owned()));
        };
        let id = event.id.as_str().to_owned();
        if let Some(effect) = self.counted_before(tx, &event, &message).await? {
            return Ok(effect);
        }
        if is_superseded(tx, &event, message.stored_ns).await? {
            return Ok(Effect::Marks(Handled::Superseded, Some(id)));
        }
        let partitions = match self.searched(tx, &id, message.stored_ns).await? {
            Ok(partitions) => partitions,
            Err(why) => return Ok(Effect::Refused(why)),
        };
        // The message has its effect at another place than its own.
        bases::forget(tx, &[replaced::partition(&event)]).await?;
        let key = self.store.erasure_key();
        let done =
            app_events::fold(tx, batch, &self.rules, key, partitions.as_deref(), &mut self.keys).await?;
        Ok(match done.rejected.first() {
            Some(reason) => Effect::Refused(format!(
                "{}: another event has counted under its id",
                reason.as_str()
            )),
            None if done.erased > 0 => Effect::Erased,
            None if done.duplicates > 0 => Effect::Marks(Handled::Duplicate, None),
            None => Effect::Marks(Handled::Folded, Some(id)),
        })
    }

    /// Compares with the events of other letters that were requeued.
    async fn counted_before(
        &self,
        tx: &mut Tx<'_>,
        event: &Event<'_>,
        message: &Message,
    ) -> Result<Option<Effect>, StoreError> {
        let Some(counted) = kept_letters::folded_event(tx, event.id.as_str()).await? else {
            return Ok(None);
        };
        Ok(Some(if message.payload().starts_with(&counted) {
            Effect::Marks(Handled::Duplicate, None)
        } else {
            Effect::Refused("another dead letter with this event_id was requeued before".to_owned())
        }))
    }

    /// The partitions in which the id is searched and stored, if ids are remembered; the inner error refuses the event.
    async fn searched(
        &self,
        tx: &mut Tx<'_>,
        id: &str,
        stored_ns: i64,
    ) -> Result<Result<Option<Vec<Partition>>, String>, StoreError> {
        let mut partitions = event_ids::partitions_now(tx).await?;
        let (Some(oldest), Some(newest)) = (partitions.first().copied(), partitions.last().copied()) else {
            return Ok(Ok(None));
        };
        let names: Vec<i64> = partitions.iter().map(|partition| partition.from).collect();
        if let Some(known) = event_ids::stored(tx, &names, &[id]).await?.get(id) {
            // A promotion remembers the ids of all messages of its window, also of those that were not counted.
            let is_own = micros(*known) == micros(stored_ns);
            return Ok(Ok((!is_own).then_some(partitions)));
        }
        let second = stored_ns.div_euclid(1_000_000_000);
        if oldest.from > second && !self.not_counted {
            return Ok(Err(FORGOTTEN.to_owned()));
        }
        // Without a partition the id would not be remembered, and a later copy would count.
        if newest.to <= second {
            let partition = dedup_window::next(&newest, second);
            event_ids::make_now(tx, &partition).await?;
            partitions.push(partition);
        }
        Ok(Ok(Some(partitions)))
    }

    async fn fold_record(&self, tx: &mut Tx<'_>, message: Message) -> Result<Effect, StoreError> {
        let Some((client, tenant)) = &self.own else {
            return Ok(Effect::Refused(
                "AUTH0_CLIENT_ID is not set, and only it tells our own writes from those of other clients"
                    .to_owned(),
            ));
        };
        if let Err(reject) = auth0_logs::read(&message) {
            return Ok(Effect::Refused(reject.to_string()));
        }
        let own = Own {
            client: Some(client),
            tenant: tenant.as_ref(),
        };
        let done = auth0_logs::fold(tx, &[message], own, self.store.erasure_key()).await?;
        Ok(match done.other_tenant.first() {
            Some(true) => Effect::Marks(Handled::OtherTenant, None),
            _ if done.erased > 0 => Effect::Erased,
            _ => Effect::Marks(Handled::Folded, None),
        })
    }

    /// Whether the operator set the cursor to a place before this message since the letter was stored.
    async fn was_read_again(&mut self, letter: &Letter, epoch: i64) -> Result<bool, StoreError> {
        let stream = &letter.key.stream;
        if self.set_back.get(stream).map(|(at, _)| *at) != Some(epoch) {
            let places = self.store.set_back(stream).await?;
            self.set_back.insert(stream.clone(), (epoch, places));
        }
        let mut places = self
            .set_back
            .get(stream)
            .into_iter()
            .flat_map(|(_, places)| places);
        Ok(places.any(|(at, seq)| *at > letter.kept_at && *seq <= letter.key.seq))
    }

    /// The message as the stream holds it; none if another message has its place, or none.
    async fn stored(&self, key: &LetterKey) -> Result<Option<Stored>, BusError> {
        let stored = self
            .bus
            .fetch(&key.stream, Which::At(key.seq.unsigned_abs()))
            .await;
        match stored {
            Err(BusError::NoStream(_)) => Ok(None),
            stored => Ok(stored?.filter(|stored| micros(stored.stored_ns) == micros(ns(key.stored_at)))),
        }
    }
}

/// The message as the letter stores it.
fn of_letter(letter: &Letter) -> Stored {
    Stored {
        subject: letter.subject.clone(),
        headers: letter.headers.clone().unwrap_or_default().into_bytes(),
        payload: letter.payload.clone().into(),
        seq: letter.key.seq.unsigned_abs(),
        stored_ns: ns(letter.key.stored_at),
    }
}

/// Whether later messages have replaced the effect of the event. A play of an earlier life of its playlist has none, nor has a
/// saving or a deletion before a later one.
async fn is_superseded(tx: &mut Tx<'_>, event: &Event<'_>, stored_ns: i64) -> Result<bool, StoreError> {
    let playlist = event.playlist.as_str();
    let lives = playlist_lifecycles::of(tx, &[playlist]).await?;
    let Some(life) = lives.get(playlist) else {
        return Ok(false);
    };
    let is_later = |then: Option<i64>| then.is_some_and(|then| micros(then) > micros(stored_ns));
    Ok(match &event.kind {
        EventKind::Saved { .. } | EventKind::Deleted { .. } => is_later(life.changed_ns),
        EventKind::Play => is_later(life.since_ns),
        EventKind::Retraction { of } => {
            let is_of_earlier_life = is_later(life.since_ns);
            if is_of_earlier_life {
                playlists::retract(tx, &[of.as_str()]).await?;
            }
            is_of_earlier_life
        }
        EventKind::Duplicate => true,
    })
}

fn is_final(handled: &str) -> bool {
    handled != Handled::Discarded.as_str()
}

fn refused(why: impl Into<String>) -> Requeued {
    Requeued::Refused(why.into())
}

fn ns(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos()).unwrap_or_default()
}

/// Postgres stores times in microseconds.
fn micros(ns: i64) -> i64 {
    ns.div_euclid(1_000)
}
