//! The counted code: the worker's own core, from the same files, and the calls that the fold makes between two commits.
//!
//! Owns these calls, in one function. Must never contain a copy of the core.

pub mod events;

use std::collections::HashSet;

use events::Message;
use rolekeeper_domain::{event, tally};

/// Processes one batch from its bytes to its changes, as the fold does without earlier retractions; returns the number of
/// changed playlists.
#[must_use]
pub fn parse_and_tally(batch: &[Message]) -> usize {
    let mut events = Vec::with_capacity(batch.len());
    for message in batch {
        if let Ok(event) = event::parse(&message.subject, None, &message.payload) {
            events.push(event.into_owned());
        }
    }
    let retracted = tally::retracted(&events);
    let fresh: HashSet<String> = retracted.iter().map(|of| of.as_str().to_owned()).collect();
    if !fresh.is_empty() {
        tally::void_duplicates(&mut events, &fresh);
    }
    let sums = tally::tally(&events);
    sums.increments.len() + sums.lifecycle_steps.len()
}
