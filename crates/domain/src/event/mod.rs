//! Parses an app event: one message becomes an [`Event`], or a [`Reject`] with the reason.
//!
//! Owns the contract of `APP_EVENTS`: field names, types, limits, subjects, and the three forms of one event. Must never panic on any input, copy what it
//! can borrow, nor let a timestamp of the publisher influence a count.

use std::borrow::Cow;

use super::ids::{Token, UserId, has_control};
use super::subjects::{PLAYLISTS, PLAYS};

mod cloud;
mod content;
mod form;
mod headers;
mod played_at;
mod raw;
mod reject;
mod subject;
#[cfg(test)]
mod tests;

pub use content::content_hash;
use form::Form;
pub use headers::Headers;
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

/// An event that is not published yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent<'a> {
    /// The subject under which its publisher sends it.
    pub subject: String,
    /// The media type that the message names in the header `Content-Type`; `None` for the plain form.
    pub content_type: Option<&'static str>,
    /// The event.
    pub event: Event<'a>,
}

/// Parses one message, in each form. `subject` is its subject in the stream, where the partition replaces the playlist's id.
pub fn parse<'a>(
    subject: &str,
    headers: Option<&'a Headers>,
    payload: &'a [u8],
) -> Result<Event<'a>, Reject> {
    let (form, prefix, event) = read(headers, payload)?;
    match subject.strip_prefix(prefix) {
        Some(token) if subject::is_of(token, event.playlist.as_str()) => Ok(event),
        Some(_) => Err(form.named(Reject::new(
            Reason::SubjectMismatch,
            "playlist_id",
            format_args!(
                "\"{}\" is in partition {}, but came on the subject \"{}\"",
                event.playlist,
                partition(event.playlist.as_str()),
                excerpt(subject)
            ),
        ))),
        None => Err(form.named(Reject::new(
            Reason::SubjectMismatch,
            "type",
            format_args!(
                "expected a subject under \"{prefix}\", got \"{}\"",
                excerpt(subject)
            ),
        ))),
    }
}

/// Parses an event that is not published yet: without headers, so plain or with its attributes in the payload.
pub fn parse_unsent(payload: &[u8]) -> Result<Unsent<'_>, Reject> {
    let (form, prefix, event) = read(None, payload)?;
    Ok(Unsent {
        subject: format!("{prefix}{}", event.playlist),
        content_type: (form == Form::Structured).then_some("application/cloudevents+json"),
        event,
    })
}

/// The event with its form, and the subject prefix where it belongs.
fn read<'a>(
    headers: Option<&'a Headers>,
    payload: &'a [u8],
) -> Result<(Form, &'static str, Event<'a>), Reject> {
    let (form, raw) = fields(headers, payload)?;
    match checked(raw) {
        Ok((prefix, event)) => Ok((form, prefix, event)),
        Err(reject) => Err(form.named(reject)),
    }
}

/// The fields of the event, unchecked, and the form in which they were written.
fn fields<'a>(headers: Option<&'a Headers>, payload: &'a [u8]) -> Result<(Form, Raw<'a>), Reject> {
    let text = raw::text(payload)?;
    match raw::plain(text) {
        Some(raw) if headers.is_none() => Ok((Form::Plain, raw)),
        _ => rare_fields(headers, text),
    }
}

/// The same of an event that is not written as nearly all are.
#[cold]
fn rare_fields<'a>(headers: Option<&'a Headers>, text: &'a str) -> Result<(Form, Raw<'a>), Reject> {
    let form = match headers {
        Some(headers) => cloud::form(headers)?,
        None if cloud::is_envelope(text) => Form::Structured,
        None => Form::Plain,
    };
    let raw = match (form, headers) {
        (Form::Structured, _) => cloud::structured(text)?,
        (Form::Binary, Some(headers)) => cloud::binary(headers, text)?,
        _ => raw::of_json(text)?,
    };
    Ok((form, raw))
}

/// The event that the fields describe, and the subject prefix where it belongs.
fn checked(mut raw: Raw<'_>) -> Result<(&'static str, Event<'_>), Reject> {
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
