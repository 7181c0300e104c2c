//! The messages of a batch that are counted otherwise than they read.
//!
//! Owns that each of them is stored, so that a recount of the stream makes the same choice. Must never cost anything in a batch
//! without such messages.

use std::collections::BTreeMap;

use super::affected_users::Read;
use crate::bus::Stored;
use crate::store::replaced_events::{self, Replaced};
use crate::store::{StoreError, Tx, playlists};
use rolekeeper_domain::event::{self, Event};

/// Such messages, by sequence; the last choice counts.
#[derive(Debug, Default)]
pub(super) struct Replacements(BTreeMap<u64, Replaced>);

impl Replacements {
    /// Adds a message, which deletes its playlist or changes nothing.
    pub(super) fn add(&mut self, event: &Event<'_>, seq: u64, deletes: bool) {
        let one = Replaced {
            partition: partition(event),
            seq: seq.cast_signed(),
            deletes,
        };
        self.0.insert(seq, one);
    }

    /// Adds the messages that change nothing.
    pub(super) fn note(&mut self, read: &Read, changes_nothing: impl Fn(&Event<'_>) -> bool) {
        for (event, seq) in read.events.iter().zip(&read.seqs) {
            if changes_nothing(event) {
                self.add(event, *seq, false);
            }
        }
    }

    /// Stores them.
    pub(super) async fn keep(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let all: Vec<Replaced> = self.0.into_values().collect();
        replaced_events::keep(tx, &all).await
    }
}

/// Stores that a message which becomes a dead letter changes nothing. One that does not parse needs no row.
pub(super) async fn buried(tx: &mut Tx<'_>, stored: &Stored) -> Result<(), StoreError> {
    let headers = stored.event_headers();
    let Ok(event) = event::parse(&stored.subject, headers.as_deref(), &stored.payload) else {
        return Ok(());
    };
    let mut replacements = Replacements::default();
    replacements.add(&event, stored.seq, false);
    replacements.keep(tx).await
}

/// The partition of the event's playlist.
pub(super) fn partition(event: &Event<'_>) -> i16 {
    playlists::partition(event.playlist.as_str())
}
