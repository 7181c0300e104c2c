//! The events of the model's stream, and what the domain makes of each.
//!
//! Owns which of them can be counted. Must never judge an event by itself: the domain parses and sums it.

use rolekeeper_domain::event::{self, Event, partition};

/// Number of events in a run at most.
pub const EVENTS: usize = 4;

/// The effect of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// It changes the playlist, or could.
    Counted,
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
    /// The retraction of the play with this place.
    Retraction(usize),
    /// The playlist is saved by its owner.
    Saved,
    /// The playlist is deleted.
    Deleted,
    /// The playlist is deleted, if a user who does not own it does.
    DeletedByOther,
}

/// Plays, one of them misplaced, and a message of unknown type.
pub const PLAYS: [Kind; EVENTS] = [Kind::Play, Kind::Misplaced, Kind::Unknown, Kind::Play];
/// A play that is retracted before it comes, and once more afterwards.
pub const RETRACTIONS: [Kind; EVENTS] = [Kind::Retraction(1), Kind::Play, Kind::Retraction(1), Kind::Play];
/// A playlist that is saved before a play and deleted after another.
pub const LIVES: [Kind; EVENTS] = [Kind::Play, Kind::Play, Kind::Saved, Kind::Deleted];
/// A playlist that is deleted, played and saved again; a user who does not own it deletes nothing.
pub const SECOND_LIVES: [Kind; EVENTS] = [Kind::Deleted, Kind::Play, Kind::Saved, Kind::DeletedByOther];

/// The events of a run, in the order of their publication, each as the domain parses it.
#[derive(Clone, Debug)]
pub struct Events {
    kinds: [Kind; EVENTS],
    parsed: Vec<Option<Event<'static>>>,
}

impl Events {
    /// Parses the events as a fold does.
    #[must_use]
    pub fn parsed(kinds: [Kind; EVENTS]) -> Self {
        let parsed = kinds.iter().enumerate().map(|(place, kind)| parsed(place, *kind));
        Self {
            kinds,
            parsed: parsed.collect(),
        }
    }

    /// The kinds of all events.
    #[must_use]
    pub fn kinds(&self) -> &[Kind; EVENTS] {
        &self.kinds
    }

    /// The event with this place; none if it cannot be read.
    #[must_use]
    pub fn event(&self, event: u8) -> Option<&Event<'static>> {
        self.parsed[usize::from(event)].as_ref()
    }

    /// The effect of this event.
    #[must_use]
    pub fn taken(&self, event: u8) -> Taken {
        self.event(event).map_or(Taken::Letter, |_| Taken::Counted)
    }
}

fn parsed(place: usize, kind: Kind) -> Option<Event<'static>> {
    let (of, more) = match kind {
        Kind::Play | Kind::Misplaced => ("play", PLAY.to_owned()),
        Kind::Unknown => ("other", PLAY.to_owned()),
        Kind::Retraction(of) => ("play_retracted", format!(r#"{PLAY},"retracts":"e{of}""#)),
        Kind::Saved => (
            "playlist_saved",
            r#","owner_id":"auth0|1","name":"mix""#.to_owned(),
        ),
        Kind::Deleted => ("playlist_deleted", String::new()),
        Kind::DeletedByOther => ("playlist_deleted", r#","owner_id":"auth0|2""#.to_owned()),
    };
    let own = partition("pl_42");
    let prefix = if matches!(
        kind,
        Kind::Play | Kind::Misplaced | Kind::Unknown | Kind::Retraction(_)
    ) {
        "plays"
    } else {
        "playlists"
    };
    let subject = format!("{prefix}.{}", if kind == Kind::Misplaced { own + 1 } else { own });
    let payload = format!(r#"{{"type":"{of}","event_id":"e{place}","playlist_id":"pl_42"{more}}}"#);
    let event = event::parse(&subject, None, payload.as_bytes()).ok()?;
    Some(event.into_owned())
}

/// The fields of a play beside its ids.
const PLAY: &str = r#","listener_id":"auth0|1","song_id":"s_7","played_at":"2026-11-23T10:00:00Z""#;
