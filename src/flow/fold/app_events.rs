//! Plays and playlists: a batch of APP_EVENTS into counts and nominations.
//!
//! Owns who is nominated: only owners of a playlist that crossed a line, with the event that carried it over.
//! Must never look at a playlist one by one on the hot path.

use std::collections::HashMap;

use super::{Done, Message, at, dead_letter};
use crate::bus::APP_EVENTS;
use crate::domain::event::{self, Event};
use crate::domain::rule::Rules;
use crate::domain::tally::{self, Playlist};
use crate::store::{
    Cause, DeadLetter, Nominate, StoreError, Tx, Urgency, dead_letters, nominations, playlists,
};

/// A batch, read.
struct Read<'m> {
    events: Vec<Event<'m>>,
    /// Which message each event came in.
    messages: Vec<&'m Message>,
    dead: Vec<DeadLetter<'m>>,
}

/// Folds one batch inside the cursor's transaction.
pub(super) async fn fold(tx: &mut Tx<'_>, batch: &[Message], rules: &Rules) -> Result<Done, StoreError> {
    let mut read = read(batch);
    let retracted: Vec<String> = tally::retracted(&read.events)
        .into_iter()
        .map(|token| token.as_str().to_owned())
        .collect();
    if !retracted.is_empty() {
        let ids: Vec<&str> = retracted.iter().map(String::as_str).collect();
        let fresh = playlists::retract(tx, &ids).await?;
        tally::void_repeats(&mut read.events, &fresh);
    }
    let sums = tally::tally(&read.events);
    let mut nominees = Nominees {
        read: &read,
        rules,
        by_user: HashMap::new(),
    };
    if !sums.lives.is_empty() {
        let ids: Vec<&str> = sums.lives.iter().map(|(id, _)| *id).collect();
        let before = playlists::before(tx, &ids).await?;
        let after: Vec<Playlist> = sums
            .lives
            .iter()
            .zip(&before)
            .map(|((_, steps), before)| tally::apply(before.clone(), steps))
            .collect();
        let rows: Vec<(&str, &Playlist)> = ids.iter().copied().zip(&after).collect();
        playlists::put(tx, &rows).await?;
        for ((id, before), after) in ids.iter().zip(&before).zip(&after) {
            nominees.compare(id, before, after);
        }
    }
    if !sums.adds.is_empty() {
        let (ids, deltas): (Vec<&str>, Vec<i64>) = sums.adds.iter().copied().unzip();
        for counted in playlists::add(tx, &ids, &deltas).await? {
            // Sorted by id, as the rows were asked for.
            let Ok(index) = ids.binary_search(&counted.playlist.as_str()) else {
                continue;
            };
            let after = Playlist {
                plays: counted.plays,
                owner: Some(counted.owner),
                ..Playlist::default()
            };
            let before = Playlist {
                plays: counted.plays - deltas[index],
                ..after.clone()
            };
            nominees.compare(ids[index], &before, &after);
        }
    }
    let mut nominated = nominees.into_list();
    nominations::nominate(tx, &mut nominated).await?;
    dead_letters::keep(tx, APP_EVENTS, &read.dead).await?;
    let rejected = read.dead.iter().map(|letter| letter.reason).collect();
    Ok(Done {
        messages: batch.len() as u64,
        rejected,
    })
}

fn read(batch: &[Message]) -> Read<'_> {
    let mut read = Read {
        events: Vec::with_capacity(batch.len()),
        messages: Vec::with_capacity(batch.len()),
        dead: Vec::new(),
    };
    for message in batch {
        match event::parse(message.subject(), message.payload()) {
            Ok(event) => {
                read.events.push(event);
                read.messages.push(message);
            }
            Err(reject) => read.dead.push(dead_letter(message, reject)),
        }
    }
    read
}

/// Gathers users whose standing may have changed; one nomination a user, by the latest event.
struct Nominees<'b, 'm> {
    read: &'b Read<'m>,
    rules: &'b Rules,
    by_user: HashMap<String, (usize, Nominate)>,
}

impl Nominees<'_, '_> {
    fn compare(&mut self, id: &str, before: &Playlist, after: &Playlist) {
        let (zone_before, zone_after) = (zone(self.rules, before), zone(self.rules, after));
        let moved = before.owner != after.owner;
        if zone_before == zone_after && !(moved && zone_after > 0) {
            return;
        }
        // An owner change at the line is no crossing of the count; its event is the last one that saved it.
        let crossing = tally::last_crossing(&self.read.events, id, before, |playlist| {
            zone(self.rules, playlist)
        });
        let index = crossing
            .map(|crossing| crossing.index)
            .or_else(|| self.last_step(id));
        let plays = crossing.map_or(after.shown(), |crossing| crossing.plays);
        let urgency = if zone_after > zone_before {
            Urgency::Grant
        } else {
            Urgency::Revoke
        };
        for (owner, concerned, urgency) in [
            (&before.owner, moved && zone_before > 0, Urgency::Revoke),
            (
                &after.owner,
                !moved || zone_after > 0,
                if moved { Urgency::Grant } else { urgency },
            ),
        ] {
            if let (Some(owner), true) = (owner, concerned) {
                self.nominate(owner.as_str(), urgency, index, plays);
            }
        }
    }

    fn nominate(&mut self, user: &str, urgency: Urgency, index: Option<usize>, plays: i64) {
        let cause = index.map(|index| Cause {
            event: self.read.events[index].id.as_str().to_owned(),
            plays,
            stored_at: at(self.read.messages[index].stored_ns),
        });
        let nominate = Nominate {
            user: user.to_owned(),
            urgency,
            observe: false,
            cause,
        };
        let index = index.unwrap_or(0);
        match self.by_user.get_mut(user) {
            Some((latest, kept)) => {
                let urgency = kept.urgency.min(urgency);
                if index >= *latest {
                    (*latest, *kept) = (index, nominate);
                }
                kept.urgency = urgency;
            }
            None => {
                self.by_user.insert(user.to_owned(), (index, nominate));
            }
        }
    }

    fn last_step(&self, id: &str) -> Option<usize> {
        self.read
            .events
            .iter()
            .rposition(|event| event.playlist.as_str() == id)
    }

    fn into_list(self) -> Vec<Nominate> {
        self.by_user.into_values().map(|(_, nominate)| nominate).collect()
    }
}

/// How many lines the playlist counts for its owner. None for one without an owner, or deleted.
fn zone(rules: &Rules, playlist: &Playlist) -> u8 {
    if playlist.deleted || playlist.owner.is_none() {
        return 0;
    }
    u8::try_from(rules.lines_reached(playlist.plays)).unwrap_or(u8::MAX)
}
