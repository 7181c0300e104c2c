//! Parses an app event: the bytes of one message become an [`Event`], or a [`Reject`] with the reason.
//!
//! Owns the contract of `APP_EVENTS`: field names, types, limits, subjects. Must never panic on any input, copy what it
//! can borrow, nor let a timestamp of the publisher influence a count.

use std::borrow::Cow;

use super::ids::{Token, UserId, has_control};
use super::subjects::{PLAYLISTS, PLAYS};

mod played_at;
mod raw;
mod reject;
mod subject;
#[cfg(test)]
mod tests;

pub use raw::MAX_EVENT_BYTES;
use raw::{Raw, Text};
pub use reject::{Reason, Reject};
pub(super) use reject::{bad_value, excerpt};
pub use subject::{PARTITIONS, partition};

/// Maximum length of a playlist's name, in characters.
pub const MAX_NAME_CHARS: usize = 256;

/// One event of a playlist. Ids and names borrow from the payload where JSON allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The publisher's id of this event.
    pub id: Token<'a>,
    /// The playlist that the event concerns.
    pub playlist: Token<'a>,
    /// The type of the event with its data.
    pub kind: EventKind<'a>,
}

/// The types of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind<'a> {
    /// A song of it was played.
    Play,
    /// The play with the id `of` no longer counts.
    Retraction {
        /// Id of the retracted play; it may not have arrived yet.
        of: Token<'a>,
    },
    /// The playlist was created, renamed, given to another owner, or restored.
    Saved {
        /// The new owner.
        owner: UserId<'a>,
        /// The new name.
        name: Cow<'a, str>,
    },
    /// The playlist is deleted and takes no plays until it is saved again.
    Deleted {
        /// Deletes only a playlist of this user; without a user, a playlist of any owner.
        owner: Option<UserId<'a>>,
    },
    /// A duplicate retraction of the same play: it changes nothing. It is never parsed, see
    /// [`super::tally::void_duplicates`].
    Duplicate,
}

impl Event<'_> {
    /// The same event without borrows from its payload.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        Event {
            id: self.id.into_owned(),
            playlist: self.playlist.into_owned(),
            kind: match self.kind {
                EventKind::Play => EventKind::Play,
                EventKind::Retraction { of } => EventKind::Retraction { of: of.into_owned() },
                EventKind::Saved { owner, name } => EventKind::Saved {
                    owner: owner.into_owned(),
                    name: Cow::Owned(name.into_owned()),
                },
                EventKind::Deleted { owner } => EventKind::Deleted {
                    owner: owner.map(UserId::into_owned),
                },
                EventKind::Duplicate => EventKind::Duplicate,
            },
        }
    }
}

/// Parses one message. `subject` is its subject in the stream, where the partition replaces the playlist's id.
pub fn parse<'a>(subject: &str, payload: &'a [u8]) -> Result<Event<'a>, Reject> {
    let (prefix, event) = read(payload)?;
    match subject.strip_prefix(prefix) {
        Some(token) if subject::is_of(token, event.playlist.as_str()) => Ok(event),
        Some(_) => Err(Reject::new(
            Reason::SubjectMismatch,
            "playlist_id",
            format_args!(
                "\"{}\" is in partition {}, but came on the subject \"{}\"",
                event.playlist,
                partition(event.playlist.as_str()),
                excerpt(subject)
            ),
        )),
        None => Err(Reject::new(
            Reason::SubjectMismatch,
            "type",
            format_args!(
                "expected a subject under \"{prefix}\", got \"{}\"",
                excerpt(subject)
            ),
        )),
    }
}

/// Parses an event that is not published yet, and returns the subject under which its publisher sends it.
pub fn parse_unsent(payload: &[u8]) -> Result<(String, Event<'_>), Reject> {
    let (prefix, event) = read(payload)?;
    Ok((format!("{prefix}{}", event.playlist), event))
}

/// The event, and the subject prefix where it belongs.
fn read(payload: &[u8]) -> Result<(&'static str, Event<'_>), Reject> {
    let mut raw = raw::read(payload)?;
    let (prefix, kind) = kind(&mut raw)?;
    let id = token("event_id", raw.event_id)?;
    let playlist = token("playlist_id", raw.playlist_id)?;
    Ok((prefix, Event { id, playlist, kind }))
}

/// The type of the event, and the subject prefix where it belongs.
fn kind<'a>(raw: &mut Raw<'a>) -> Result<(&'static str, EventKind<'a>), Reject> {
    match required("type", raw.kind.take())?.as_ref() {
        "play" => {
            check_listening(raw)?;
            Ok((PLAYS, EventKind::Play))
        }
        "play_retracted" => {
            check_listening(raw)?;
            Ok((
                PLAYS,
                EventKind::Retraction {
                    of: token("retracts", raw.retracts.take())?,
                },
            ))
        }
        "playlist_saved" => {
            let owner = user_id("owner_id", raw.owner_id.take())?;
            let name = playlist_name(required("name", raw.name.take())?)?;
            Ok((PLAYLISTS, EventKind::Saved { owner, name }))
        }
        "playlist_deleted" => {
            let owner = raw.owner_id.take();
            let owner = owner.map(|owner| user_id("owner_id", Some(owner))).transpose()?;
            Ok((PLAYLISTS, EventKind::Deleted { owner }))
        }
        unknown => {
            let fault = format!("unknown event type \"{}\"", excerpt(unknown));
            Err(Reject::new(Reason::UnknownType, "type", fault))
        }
    }
}

/// Checks listener, song and time of a play. They are part of the contract, although no count needs them.
fn check_listening(raw: &mut Raw<'_>) -> Result<(), Reject> {
    user_id("listener_id", raw.listener_id.take())?;
    token("song_id", raw.song_id.take())?;
    let played_at = required("played_at", raw.played_at.take())?;
    if played_at::is_time(&played_at) {
        Ok(())
    } else {
        Err(bad_value("played_at", "expected a time in RFC 3339", &played_at))
    }
}

fn playlist_name(name: Cow<'_, str>) -> Result<Cow<'_, str>, Reject> {
    if name.chars().count() <= MAX_NAME_CHARS && !has_control(&name) {
        Ok(name)
    } else {
        Err(bad_value(
            "name",
            "expected at most 256 characters without control characters",
            &name,
        ))
    }
}

fn required<'a>(field: &str, value: Option<Text<'a>>) -> Result<Cow<'a, str>, Reject> {
    value
        .map(|text| text.0)
        .ok_or_else(|| Reject::new(Reason::MissingField, field, "required"))
}

fn token<'a>(field: &str, value: Option<Text<'a>>) -> Result<Token<'a>, Reject> {
    let value = required(field, value)?;
    Token::parse(value.clone()).map_err(|expected| bad_value(field, expected, &value))
}

fn user_id<'a>(field: &str, value: Option<Text<'a>>) -> Result<UserId<'a>, Reject> {
    let value = required(field, value)?;
    UserId::parse(value.clone()).map_err(|expected| bad_value(field, expected, &value))
}
