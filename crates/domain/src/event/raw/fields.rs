//! The fields of an app event, unchecked.
//!
//! Owns their names. Must never copy what it can borrow.

use std::borrow::Cow;

use serde::Deserialize;

/// Every field of every event type. A name has the same type in all of them, so a field must be text even in an event
/// that does not use it.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(in super::super) struct Raw<'a> {
    #[serde(rename = "type", borrow)]
    pub(in super::super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) event_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) playlist_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) retracts: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) listener_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) song_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) played_at: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) owner_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) name: Option<Text<'a>>,
}

/// A string that borrows from the payload unless it has escapes. Serde can borrow a bare `Cow` field, but not one
/// inside an `Option`; this type makes that possible.
#[derive(Deserialize)]
#[serde(transparent)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(in super::super) struct Text<'a>(#[serde(borrow)] pub(in super::super) Cow<'a, str>);

impl Raw<'_> {
    pub(super) fn into_owned(self) -> Raw<'static> {
        let owned = |text: Option<Text<'_>>| text.map(|text| Text(Cow::Owned(text.0.into_owned())));
        Raw {
            kind: owned(self.kind),
            event_id: owned(self.event_id),
            playlist_id: owned(self.playlist_id),
            retracts: owned(self.retracts),
            listener_id: owned(self.listener_id),
            song_id: owned(self.song_id),
            played_at: owned(self.played_at),
            reason: owned(self.reason),
            owner_id: owned(self.owner_id),
            name: owned(self.name),
        }
    }
}
