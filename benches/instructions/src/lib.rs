//! What is counted: the worker's own core, the same files, and the calls that the fold makes between two commits.
//!
//! Owns those calls, in one function. Must never hold a copy of the core.

pub mod events;

use std::collections::HashSet;

use events::Message;
use rolekeeper_domain::{event, tally};

/// One batch from its bytes to what it changes; answers how many playlists it changes. As the fold does it, and as if no
/// retraction had come before.
#[must_use]
pub fn parse_and_tally(batch: &[Message]) -> usize {
    let mut events = Vec::with_capacity(batch.len());
    for message in batch {
        if let Ok(event) = event::parse(&message.subject, &message.payload) {
            events.push(event.into_owned());
        }
    }
    let retracted = tally::retracted(&events);
    let fresh: HashSet<String> = retracted.iter().map(|of| of.as_str().to_owned()).collect();
    if !fresh.is_empty() {
        tally::void_repeats(&mut events, &fresh);
    }
    let sums = tally::tally(&events);
    sums.adds.len() + sums.lives.len()
}
