//! The fields of a line, and the plays that follow from them.
//!
//! Owns which fields a play has, and which a count. Must never accept a line that could be both.

use time::OffsetDateTime;

use crate::date;
use crate::event::{Reason, Reject, bad_value};
use crate::ids::Token;

/// Most plays of a count: so many that no playlist has them, and that a file of them cannot exceed what is counted.
const MAX_PLAYS: i64 = 1_000_000_000_000;

/// The plays that a line adds to a playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The playlist.
    pub playlist: Token<'static>,
    /// The plays.
    pub plays: Plays,
}

/// The plays of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plays {
    /// One play.
    One {
        /// The app's id of the play.
        event: Token<'static>,
        /// Time of the play, where the line has it.
        at: Option<OffsetDateTime>,
    },
    /// A number of plays without ids.
    Count(i64),
}

/// The fields of a line, unchecked.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) kind: Option<String>,
    pub(super) playlist: Option<String>,
    pub(super) event: Option<String>,
    pub(super) played_at: Option<String>,
    pub(super) plays: Option<i64>,
}

impl Fields {
    /// Checks them.
    pub(super) fn checked(self) -> Result<Past, Reject> {
        if let Some(kind) = self.kind.filter(|kind| kind != "play") {
            return Err(bad_value(
                "type",
                "expected play: send other events with `rolekeeper publish`",
                &kind,
            ));
        }
        let playlist = token("playlist_id", self.playlist)?;
        let at = self.played_at.map(|text| {
            date::of_text(&text).ok_or_else(|| bad_value("played_at", "expected a time in RFC 3339", &text))
        });
        let at = at.transpose()?;
        let plays = match (self.event, self.plays) {
            (Some(_), Some(_)) => {
                let fault = "expected a play with event_id, or a count with plays, not both";
                return Err(Reject::new(Reason::BadValue, "plays", fault));
            }
            (None, None) => {
                let fault = "required, or plays for a count";
                return Err(Reject::new(Reason::MissingField, "event_id", fault));
            }
            (Some(event), None) => Plays::One {
                event: token("event_id", Some(event))?,
                at,
            },
            (None, Some(count)) if !(0..=MAX_PLAYS).contains(&count) => {
                let expected = format!("expected 0 to {MAX_PLAYS}");
                return Err(bad_value("plays", &expected, &count.to_string()));
            }
            (None, Some(count)) => Plays::Count(count),
        };
        Ok(Past { playlist, plays })
    }
}

fn token(field: &str, value: Option<String>) -> Result<Token<'static>, Reject> {
    let value = value.ok_or_else(|| Reject::new(Reason::MissingField, field, "required"))?;
    Token::parse(value.clone()).map_err(|expected| bad_value(field, expected, &value))
}
