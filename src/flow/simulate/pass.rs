//! The messages of one pass: their extent, their events, and those that count nothing.
//!
//! Must never treat a message as an event that the fold did not count.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use time::OffsetDateTime;

use crate::bus::Message;
use rolekeeper_domain::date::of_unix_ns;
use rolekeeper_domain::event::{self, Event};

/// The replayed messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Sequence of the first one; none without any.
    pub first_seq: Option<u64>,
    /// When the stream stored it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub from: Option<OffsetDateTime>,
    /// Sequence of the last one.
    pub last_seq: Option<u64>,
    /// When the stream stored it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub to: Option<OffsetDateTime>,
    /// Number of messages.
    pub messages: u64,
    /// Messages that are missing between them.
    pub missing: u64,
}

/// The messages of one pass.
#[derive(Default)]
pub(super) struct Pass {
    /// Sequence and store time of the first one and of the last one, Unix nanoseconds.
    ends: Option<[(u64, i64); 2]>,
    /// Number of messages, and of those that are missing between them.
    pub(super) messages: u64,
    missing: u64,
    /// Messages that count nothing, by reason.
    pub(super) dead: BTreeMap<String, u64>,
}

impl Pass {
    /// Takes the next message; returns its event if it was counted, or is going to be.
    pub(super) fn take<'m>(
        &mut self,
        message: &'m Message,
        dead: &HashMap<u64, String>,
    ) -> Option<Event<'m>> {
        let seq = message.seq;
        let [_, last] = self.ends.get_or_insert([(seq, message.stored_ns); 2]);
        // The first one follows itself.
        self.missing += seq.saturating_sub(last.0 + 1);
        *last = (seq, message.stored_ns);
        self.messages += 1;
        let (reason, event) = match event::parse(message.subject(), message.headers(), message.payload()) {
            Err(reject) => (reject.reason.as_str(), None),
            Ok(event) => match dead.get(&seq) {
                Some(reason) => (reason.as_str(), None),
                None => return Some(event),
            },
        };
        match self.dead.get_mut(reason) {
            Some(number) => *number += 1,
            None => drop(self.dead.insert(reason.to_owned(), 1)),
        }
        event
    }

    /// The messages so far.
    pub(super) fn window(&self) -> Window {
        let [first, last] = self.ends.map_or([None; 2], |ends| ends.map(Some));
        let at = |(_, stored_ns)| of_unix_ns(stored_ns);
        Window {
            first_seq: first.map(|(seq, _)| seq),
            from: first.map(at),
            last_seq: last.map(|(seq, _)| seq),
            to: last.map(at),
            messages: self.messages,
            missing: self.missing,
        }
    }
}
