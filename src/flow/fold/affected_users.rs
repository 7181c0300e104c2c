//! Users that a batch of plays enqueues.
//!
//! Owns the comparison of the thresholds reached before and after, and the event that carried a user across. Must never
//! enqueue a user whose evaluation cannot have changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use time::OffsetDateTime;

use crate::bus::Message;
use crate::store::{Cause, Enqueue, Priority};
use crate::traces::{self, Span};
use rolekeeper_domain::date;
use rolekeeper_domain::event::Event;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::rule::{Measure, Rules};
use rolekeeper_domain::tally::{self, Crossing, Playlist};

/// The events of a batch, each with the time at which the stream stored it, and its sequence. They do not hold their messages, which are
/// many times as large; only where ids are remembered does each event keep its message.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) events: Vec<Event<'static>>,
    pub(super) stored_ns: Vec<i64>,
    pub(super) seqs: Vec<u64>,
    pub(super) messages: Vec<Message>,
    /// Contexts of traces, by the sequence of their event.
    pub(super) traces: HashMap<u64, Box<str>>,
}

impl Read {
    /// Removes the messages whose events `keep` rejects, by index, and their events. Returns the messages.
    pub(super) fn retain(&mut self, keep: &[bool]) -> Vec<Message> {
        fn retain<T>(list: &mut Vec<T>, keep: &[bool]) -> Vec<T> {
            let (kept, out): (Vec<_>, Vec<_>) = std::mem::take(list)
                .into_iter()
                .zip(keep)
                .partition(|(_, keep)| **keep);
            *list = kept.into_iter().map(|(one, _)| one).collect();
            out.into_iter().map(|(one, _)| one).collect()
        }
        retain(&mut self.events, keep);
        retain(&mut self.stored_ns, keep);
        retain(&mut self.seqs, keep);
        retain(&mut self.messages, keep)
    }
}

/// The effect of a batch on one playlist that has, or had, an owner.
pub(super) struct Touched<'b> {
    pub(super) id: Cow<'b, str>,
    pub(super) before: Playlist,
    pub(super) after: Playlist,
}

/// Collects users whose evaluation may have changed; one queue entry per user, with the latest event.
pub(super) struct AffectedUsers<'b> {
    read: &'b Read,
    rules: &'b Rules,
    /// The primaries of the owners that are linked to one.
    primaries: &'b HashMap<String, String>,
    by_user: HashMap<String, (usize, Enqueue)>,
}

impl<'b> AffectedUsers<'b> {
    pub(super) fn new(read: &'b Read, rules: &'b Rules, primaries: &'b HashMap<String, String>) -> Self {
        Self {
            read,
            rules,
            primaries,
            by_user: HashMap::new(),
        }
    }

    /// Compares for the rules that measure the best playlist.
    pub(super) fn compare(&mut self, touched: &Touched<'_>) {
        let Touched { id, before, after } = touched;
        let owner_before = before.owner.as_ref().map(UserId::as_str);
        let owner_after = after.owner.as_ref().map(UserId::as_str);
        let left = owner_before.filter(|_| owner_before != owner_after);
        for owner in [left, owner_after].into_iter().flatten() {
            // Thresholds that the playlist reaches for this owner; none while it belongs to another owner.
            let band = |playlist: &Playlist| {
                let theirs = playlist.owner.as_ref().is_some_and(|now| now.as_str() == owner);
                if theirs && !playlist.deleted {
                    self.rules
                        .thresholds_reached(Measure::BestPlaylist, playlist.plays)
                } else {
                    0
                }
            };
            let (band_before, band_after) = (band(before), band(after));
            if band_before == band_after {
                continue;
            }
            let crossing = tally::last_crossing(&self.read.events, id, before, band);
            let priority = if band_after > band_before {
                Priority::Grant
            } else {
                Priority::Revoke
            };
            self.enqueue(owner, priority, crossing);
        }
    }

    /// Compares for the rules that measure all playlists together: `totals` are owners with their total after the
    /// batch, and the change of it.
    pub(super) fn compare_totals(&mut self, totals: &[(String, i64, i64)], touched: &[Touched<'_>]) {
        let band = |total| self.rules.thresholds_reached(Measure::AllPlaylists, total);
        let crossed: Vec<_> = totals
            .iter()
            .filter(|(_, total, delta)| band(*total) != band(total - delta))
            .collect();
        if crossed.is_empty() {
            return;
        }
        let before: HashMap<&str, &Playlist> =
            touched.iter().map(|one| (one.id.as_ref(), &one.before)).collect();
        for (owner, total, delta) in crossed {
            let aliases = self.primaries.iter().filter(|(_, primary)| *primary == owner);
            let ids: Vec<&str> = aliases
                .map(|(alias, _)| alias.as_str())
                .chain([owner.as_str()])
                .collect();
            let crossing = tally::last_total_crossing(&self.read.events, &ids, &before, total - delta, band);
            self.enqueue(
                owner,
                if *delta > 0 {
                    Priority::Grant
                } else {
                    Priority::Revoke
                },
                crossing,
            );
        }
    }

    fn enqueue(&mut self, user: &str, priority: Priority, crossing: Option<Crossing>) {
        let user = self.primaries.get(user).map_or(user, String::as_str);
        let cause = crossing.map(|Crossing { index, plays, .. }| Cause {
            event: self.read.events[index].id.as_str().to_owned(),
            plays,
            stored_at: date::of_unix_ns(self.read.stored_ns[index]),
            seq: self.read.seqs[index].cast_signed(),
            trace: None,
        });
        let enqueue = Enqueue {
            user: user.to_owned(),
            priority,
            force_fetch: false,
            cause,
            flapping: crossing.is_some_and(|crossing| crossing.times > 1),
        };
        let index = crossing.map_or(0, |crossing| crossing.index);
        match self.by_user.get_mut(user) {
            Some((latest, kept)) => {
                let priority = kept.priority.min(priority);
                let flapping = kept.flapping || enqueue.flapping;
                if index >= *latest {
                    (*latest, *kept) = (index, enqueue);
                }
                (kept.priority, kept.flapping) = (priority, flapping);
            }
            None => {
                self.by_user.insert(user.to_owned(), (index, enqueue));
            }
        }
    }

    /// The users to enqueue, and the spans of the events that belong to a trace; the attempts continue it.
    pub(super) fn into_list(self, since: OffsetDateTime) -> (Vec<Enqueue>, Vec<Span>) {
        let mut spans = Vec::new();
        let mut trace = |cause: &mut Cause| {
            let parent = self.read.traces.get(&cause.seq.cast_unsigned())?;
            let span = traces::fold(parent, &cause.event, since);
            cause.trace = span.context();
            spans.push(span);
            Some(())
        };
        let list = self.by_user.into_values().map(|(_, mut enqueue)| {
            enqueue.cause.as_mut().and_then(&mut trace);
            enqueue
        });
        (list.collect(), spans)
    }
}

/// The owners of these playlists, before and after the batch.
pub(super) fn owners<'t>(touched: &'t [Touched<'_>]) -> Vec<&'t str> {
    let both = touched
        .iter()
        .flat_map(|one| [&one.before.owner, &one.after.owner]);
    let mut owners: Vec<&str> = both.flatten().map(UserId::as_str).collect();
    owners.sort_unstable();
    owners.dedup();
    owners
}

/// The change of each person's total, in order of the primary's id; without persons whose total stays.
pub(super) fn total_deltas(
    touched: &[Touched<'_>],
    primaries: &HashMap<String, String>,
) -> BTreeMap<String, i64> {
    let mut deltas: BTreeMap<String, i64> = BTreeMap::new();
    for Touched { before, after, .. } in touched {
        for (playlist, sign) in [(before, -1), (after, 1)] {
            if let Some(owner) = &playlist.owner {
                let id = owner.as_str();
                let person = primaries.get(id).map_or(id, String::as_str);
                *deltas.entry(person.to_owned()).or_default() += sign * playlist.share_of(id);
            }
        }
    }
    deltas.retain(|_, delta| *delta != 0);
    deltas
}
