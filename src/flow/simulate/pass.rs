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
    pub(super) window: Window,
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
        let window = &mut self.window;
        let (seq, at) = (message.seq, of_unix_ns(message.stored_ns));
        let expected = window.last_seq.map_or(seq, |last| last + 1);
        window.missing += seq.saturating_sub(expected);
        window.messages += 1;
        window.first_seq.get_or_insert(seq);
        window.from.get_or_insert(at);
        (window.last_seq, window.to) = (Some(seq), Some(at));
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
}
