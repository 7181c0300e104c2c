//! App events as an app server writes them.
//!
//! Owns subject, id and body of each (contract of `APP_EVENTS`), and a few invalid events. Must never decide which are sent.

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::cast::{Playlist, User};

/// The content of an event, for the reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The playlist is saved, with its owner.
    Saved {
        /// The owner's user id.
        owner: String,
    },
    /// The playlist was played.
    Play,
    /// A play is retracted.
    Retraction {
        /// Id of the play.
        of: String,
    },
    /// The event is invalid.
    Broken,
}

/// One event, ready to be sent.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id, also the message id by which the stream drops duplicates.
    pub id: String,
    /// The playlist.
    pub playlist: String,
    /// Its content.
    pub what: What,
    /// Its subject.
    pub subject: String,
    /// The payload.
    pub body: String,
}

impl Event {
    fn new(kind: &str, id: String, playlist: &str, what: What, body: String) -> Self {
        Self {
            subject: format!("{kind}.{playlist}"),
            id,
            playlist: playlist.to_owned(),
            what,
            body,
        }
    }

    /// Returns the event of a saved playlist.
    #[must_use]
    pub fn saved(playlist: &Playlist, owner: &User) -> Self {
        let id = format!("saved_{}", playlist.id);
        let body = json!({
            "type": "playlist_saved", "event_id": id, "playlist_id": playlist.id, "owner_id": owner.id,
            "name": format!("Mix of {}", playlist.id),
        });
        let what = What::Saved {
            owner: owner.id.clone(),
        };
        Self::new("playlists", id, &playlist.id, what, body.to_string())
    }

    /// Returns the event of a play by `listener`.
    #[must_use]
    pub fn play(id: String, playlist: &str, listener: &User, at: OffsetDateTime) -> Self {
        let body = json!({
            "type": "play", "event_id": id, "playlist_id": playlist, "listener_id": listener.id,
            "song_id": "s_7", "played_at": rfc3339(at),
        });
        Self::new("plays", id, playlist, What::Play, body.to_string())
    }

    /// Returns the event that retracts a play of the playlist.
    #[must_use]
    pub fn retraction(id: String, playlist: &str, of: &str, listener: &User, at: OffsetDateTime) -> Self {
        let body = json!({
            "type": "play_retracted", "event_id": id, "retracts": of, "playlist_id": playlist,
            "listener_id": listener.id, "song_id": "s_7", "played_at": rfc3339(at), "reason": "bot",
        });
        let what = What::Retraction { of: of.to_owned() };
        Self::new("plays", id, playlist, what, body.to_string())
    }

    /// Returns invalid plays, each with a different fault.
    #[must_use]
    pub fn broken(playlist: &str) -> Vec<Self> {
        let bodies = [
            r#"{"type":"play","event_id":"broken_0","#.to_owned(),
            json!({"type": "play_liked", "event_id": "broken_1", "playlist_id": playlist}).to_string(),
            json!({"type": "play", "event_id": "broken_2", "listener_id": "auth0|x"}).to_string(),
            json!({"type": "play", "event_id": "broken_3", "playlist_id": "another", "listener_id": "auth0|x",
                   "song_id": "s_7", "played_at": "2026-11-23T10:00:00Z"})
            .to_string(),
            json!({"type": "play", "event_id": "broken_4", "playlist_id": 7}).to_string(),
            json!({"type": "play", "event_id": "broken_5", "playlist_id": playlist, "listener_id": "auth0|x",
                   "song_id": "s_7", "played_at": "yesterday"})
            .to_string(),
        ];
        let event =
            |(number, body)| Self::new("plays", format!("broken_{number}"), playlist, What::Broken, body);
        bodies.into_iter().enumerate().map(event).collect()
    }
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339)
        .expect("a date of our own clock has a year of four digits")
}
