//! App events: the bytes of one message become an [`Event`], or a [`Reject`] that says why not.
//!
//! Owns the contract of `APP_EVENTS`: field names, types, limits, subjects. Must never panic on any input,
//! copy what it can borrow, nor let a time stamp of the publisher influence what is counted.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_path_to_error::Segment;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ids::{Token, UserId};

mod reject;
#[cfg(test)]
mod tests;

pub use reject::{Reason, Reject};
pub(super) use reject::{bad_value, excerpt};

/// Largest payload of an app event, in bytes: twice what the contract needs with every character escaped.
pub const MAX_EVENT_BYTES: usize = 16 * 1024;
/// Longest name of a playlist, in characters.
pub const MAX_NAME_CHARS: usize = 256;

/// Subject prefix of plays and retractions; the playlist's id follows.
const PLAYS: &str = "plays.";
/// Subject prefix of playlists saved and deleted; the playlist's id follows.
const PLAYLISTS: &str = "playlists.";

/// Something that happened to one playlist. Ids and names borrow from the payload where JSON allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The publisher's id of this event.
    pub id: Token<'a>,
    /// The playlist it happened to.
    pub playlist: Token<'a>,
    /// What happened.
    pub kind: Kind<'a>,
}

/// What happened to the playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A song of it was played.
    Play,
    /// The play with the id `of` does not count after all.
    Retraction {
        /// Id of the retracted play; it may not have arrived yet.
        of: Token<'a>,
    },
    /// It was created, renamed, given to another owner, or brought back.
    Saved {
        /// Whose playlist it is from now on.
        owner: UserId<'a>,
        /// How it is called from now on.
        name: Cow<'a, str>,
    },
    /// It is gone and takes no plays until it is saved again.
    Deleted,
    /// A retraction of a play that was retracted before: changes nothing. Never parsed, see
    /// [`super::tally::void_repeats`].
    Repeat,
}

impl Event<'_> {
    /// The same event, free of the payload it was parsed from.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        Event {
            id: self.id.into_owned(),
            playlist: self.playlist.into_owned(),
            kind: match self.kind {
                Kind::Play => Kind::Play,
                Kind::Retraction { of } => Kind::Retraction { of: of.into_owned() },
                Kind::Saved { owner, name } => Kind::Saved {
                    owner: owner.into_owned(),
                    name: Cow::Owned(name.into_owned()),
                },
                Kind::Deleted => Kind::Deleted,
                Kind::Repeat => Kind::Repeat,
            },
        }
    }
}

/// Every field of every event type. One name has one type in all of them, so a field is checked for being
/// text even in an event that has no use for it.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    event_id: Option<Text<'a>>,
    #[serde(borrow)]
    playlist_id: Option<Text<'a>>,
    #[serde(borrow)]
    retracts: Option<Text<'a>>,
    #[serde(borrow)]
    listener_id: Option<Text<'a>>,
    #[serde(borrow)]
    song_id: Option<Text<'a>>,
    #[serde(borrow)]
    played_at: Option<Text<'a>>,
    #[serde(rename = "reason", borrow)]
    _reason: Option<Text<'a>>,
    #[serde(borrow)]
    owner_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

/// A string that borrows from the payload unless it has escapes. Serde borrows a bare `Cow` field when told
/// to, but not one inside an `Option`; this type stands between the two.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads one message. `subject` is the one it came on, without any prefix of the stream's.
pub fn parse<'a>(subject: &str, payload: &'a [u8]) -> Result<Event<'a>, Reject> {
    let mut raw = read(payload)?;
    let (prefix, kind) = kind(&mut raw)?;
    let id = token("event_id", raw.event_id)?;
    let playlist = token("playlist_id", raw.playlist_id)?;
    match subject.strip_prefix(prefix) {
        Some(of_subject) if of_subject == playlist.as_str() => Ok(Event { id, playlist, kind }),
        Some(_) => Err(Reject::new(
            Reason::SubjectMismatch,
            "playlist_id",
            format_args!("\"{playlist}\" came on the subject \"{}\"", excerpt(subject)),
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

/// The payload as JSON fields.
fn read(payload: &[u8]) -> Result<Raw<'_>, Reject> {
    if payload.len() > MAX_EVENT_BYTES {
        let fault = format!("expected at most {MAX_EVENT_BYTES} bytes, got {}", payload.len());
        return Err(Reject::new(Reason::Oversized, "payload", fault));
    }
    let text = std::str::from_utf8(payload)
        .map_err(|error| Reject::new(Reason::NotUtf8, "payload", format_args!("{error}")))?;
    // Serde would also take an array, its elements as the fields in order.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Reject::new(Reason::WrongType, "payload", "expected a JSON object"),
            Err(error) => Reject::new(Reason::NotJson, "payload", error),
        });
    }
    serde_json::from_str(text).map_err(|error| diagnose(text, &error))
}

/// Names the field that `error` is about, by reading again and keeping track of the place.
fn diagnose(text: &str, error: &serde_json::Error) -> Reject {
    let mut again = serde_json::Deserializer::from_str(text);
    let field = match serde_path_to_error::deserialize::<_, Raw<'_>>(&mut again) {
        Err(located) if matches!(located.path().iter().next(), Some(Segment::Map { .. })) => {
            excerpt(&located.path().to_string())
        }
        // About the object as a whole, or about what follows it.
        _ => "payload".to_owned(),
    };
    let fault = error.to_string();
    let reason = if !error.is_data() {
        Reason::NotJson
    } else if fault.starts_with("duplicate field") {
        Reason::DuplicateField
    } else {
        Reason::WrongType
    };
    Reject::new(reason, &field, fault)
}

/// What happened, and under which subject prefix it belongs.
fn kind<'a>(raw: &mut Raw<'a>) -> Result<(&'static str, Kind<'a>), Reject> {
    match required("type", raw.kind.take())?.as_ref() {
        "play" => {
            check_listening(raw)?;
            Ok((PLAYS, Kind::Play))
        }
        "play_retracted" => {
            check_listening(raw)?;
            Ok((
                PLAYS,
                Kind::Retraction {
                    of: token("retracts", raw.retracts.take())?,
                },
            ))
        }
        "playlist_saved" => {
            let owner = user_id("owner_id", raw.owner_id.take())?;
            let name = playlist_name(required("name", raw.name.take())?)?;
            Ok((PLAYLISTS, Kind::Saved { owner, name }))
        }
        "playlist_deleted" => Ok((PLAYLISTS, Kind::Deleted)),
        unknown => {
            let fault = format!("no event type \"{}\" is known", excerpt(unknown));
            Err(Reject::new(Reason::UnknownType, "type", fault))
        }
    }
}

/// Who listened to what and when: part of the contract, so it has to be right, though no count needs it.
fn check_listening(raw: &mut Raw<'_>) -> Result<(), Reject> {
    user_id("listener_id", raw.listener_id.take())?;
    token("song_id", raw.song_id.take())?;
    let played_at = required("played_at", raw.played_at.take())?;
    match OffsetDateTime::parse(&played_at, &Rfc3339) {
        Ok(_) => Ok(()),
        Err(_) => Err(bad_value(
            "played_at",
            "expected a time as in RFC 3339",
            &played_at,
        )),
    }
}

fn playlist_name(name: Cow<'_, str>) -> Result<Cow<'_, str>, Reject> {
    if name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control) {
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
