//! The events of the model's stream, and what the domain makes of each.
//!
//! Owns which of them can be counted. Must never judge an event by itself: the domain parses and sums it.

use rolekeeper_domain::event::{self, partition};
use rolekeeper_domain::tally::tally;

/// Number of events in a run.
pub const EVENTS: usize = 4;

/// The effect of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// It changes a count by this many plays.
    Counted(i64),
    /// It becomes a dead letter.
    Letter,
}

/// The published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A play.
    Play,
    /// A play under the subject of another partition.
    Misplaced,
    /// A message of an unknown type.
    Unknown,
}

/// The events of a run, in the order of their publication.
pub const KINDS: [Kind; EVENTS] = [Kind::Play, Kind::Misplaced, Kind::Unknown, Kind::Play];

/// The effect of each event, as the domain says.
#[derive(Clone, Debug)]
pub struct Events(Vec<Taken>);

impl Events {
    /// Parses the events as a fold does.
    #[must_use]
    pub fn parsed() -> Self {
        Self(
            KINDS
                .iter()
                .enumerate()
                .map(|(place, kind)| taken(place, *kind))
                .collect(),
        )
    }

    /// The effect of this event.
    #[must_use]
    pub fn taken(&self, event: u8) -> Taken {
        self.0[usize::from(event)]
    }
}

fn taken(place: usize, kind: Kind) -> Taken {
    let of = if kind == Kind::Unknown { "other" } else { "play" };
    let own = partition("pl_42");
    let subject = format!("plays.{}", if kind == Kind::Misplaced { own + 1 } else { own });
    let payload = format!(
        r#"{{"type":"{of}","event_id":"e{place}","playlist_id":"pl_42","listener_id":"auth0|1","song_id":"s_7","played_at":"2026-11-23T10:00:00Z"}}"#
    );
    match event::parse(&subject, None, payload.as_bytes()) {
        Ok(event) => Taken::Counted(tally(&[event]).increments.iter().map(|(_, delta)| delta).sum()),
        Err(_) => Taken::Letter,
    }
}
