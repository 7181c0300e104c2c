//! Messages of app servers, as bytes and ids, and broken variants of them.
//!
//! Owns the wire form of the contract, written out by hand so that it does not repeat the worker's mistakes.

use std::ops::Range;

use serde_json::json;

/// One message for `APP_EVENTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// `Nats-Msg-Id`.
    pub(crate) id: String,
    pub(crate) subject: String,
    /// The event in the plain form.
    pub(crate) payload: Vec<u8>,
    /// The form in which it is published.
    pub(crate) form: Form,
    /// The reason with which it must become a dead letter; none for a valid one.
    pub(crate) poison: Option<&'static str>,
}

/// The form of a published event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The payload as it is.
    Plain,
    /// A `CloudEvent` in the payload.
    Structured,
    /// A `CloudEvent` with its attributes in headers.
    Binary,
}

impl Sent {
    fn new(id: &str, subject: String, payload: &serde_json::Value) -> Self {
        Self {
            id: id.to_owned(),
            subject,
            payload: payload.to_string().into_bytes(),
            form: Form::Plain,
            poison: None,
        }
    }

    /// The same event in another form.
    pub(crate) fn in_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// The headers beside the message id, and the payload as it is published.
    pub(crate) fn wire(&self) -> (Vec<(String, String)>, Vec<u8>) {
        if self.form == Form::Plain {
            return (Vec::new(), self.payload.clone());
        }
        let mut data: serde_json::Value = serde_json::from_slice(&self.payload).expect("built as JSON");
        let mut envelope = json!({"specversion": "1.0", "source": "/music/app"});
        for (field, attribute) in [("type", "type"), ("event_id", "id"), ("played_at", "time")] {
            if let Some(value) = data.as_object_mut().and_then(|data| data.remove(field)) {
                envelope[attribute] = value;
            }
        }
        if self.form == Form::Structured {
            envelope["data"] = data;
            let header = (
                "Content-Type".to_owned(),
                "application/cloudevents+json".to_owned(),
            );
            return (vec![header], envelope.to_string().into_bytes());
        }
        let attributes = envelope.as_object().expect("an object").iter();
        let header = |(name, value): (&String, &serde_json::Value)| {
            (
                format!("ce-{name}"),
                value.as_str().unwrap_or_default().to_owned(),
            )
        };
        (attributes.map(header).collect(), data.to_string().into_bytes())
    }

    /// The same message with one field of its JSON set to another value.
    pub(crate) fn with(mut self, field: &str, value: impl Into<serde_json::Value>) -> Self {
        let mut json: serde_json::Value = serde_json::from_slice(&self.payload).expect("built as JSON");
        json[field] = value.into();
        self.payload = json.to_string().into_bytes();
        self
    }

    /// The same message, expected among the dead letters.
    pub(crate) fn poisoned(mut self, reason: &'static str) -> Self {
        self.poison = Some(reason);
        self
    }
}

/// One play.
pub(crate) fn play(id: &str, playlist: &str) -> Sent {
    let json = json!({
        "type": "play", "event_id": id, "playlist_id": playlist, "listener_id": "auth0|listener",
        "song_id": "s_7", "played_at": "2026-11-23T10:00:00Z",
    });
    Sent::new(id, format!("plays.{playlist}"), &json)
}

/// Plays with the ids `<name>-<number>`.
pub(crate) fn plays(name: &str, playlist: &str, numbers: Range<u32>) -> Vec<Sent> {
    numbers.map(|n| play(&format!("{name}-{n}"), playlist)).collect()
}

/// Retracts the play `of`.
pub(crate) fn retraction(id: &str, of: &str, playlist: &str) -> Sent {
    let json = json!({
        "type": "play_retracted", "event_id": id, "retracts": of, "playlist_id": playlist,
        "listener_id": "auth0|listener", "song_id": "s_7", "played_at": "2026-11-23T10:00:00Z", "reason": "bot",
    });
    Sent::new(id, format!("plays.{playlist}"), &json)
}

/// Gives the playlist to `owner`.
pub(crate) fn saved(id: &str, playlist: &str, owner: &str) -> Sent {
    let json = json!({
        "type": "playlist_saved", "event_id": id, "playlist_id": playlist, "owner_id": owner, "name": "Road trip",
    });
    Sent::new(id, format!("playlists.{playlist}"), &json)
}

/// Deletes the playlist.
pub(crate) fn deleted(id: &str, playlist: &str) -> Sent {
    let json = json!({"type": "playlist_deleted", "event_id": id, "playlist_id": playlist});
    Sent::new(id, format!("playlists.{playlist}"), &json)
}

/// Deletes the playlist if this user still owns it.
pub(crate) fn deleted_by(id: &str, playlist: &str, owner: &str) -> Sent {
    let json = json!({
        "type": "playlist_deleted", "event_id": id, "playlist_id": playlist, "owner_id": owner,
    });
    Sent::new(id, format!("playlists.{playlist}"), &json)
}

/// Unreadable bytes, on a subject of `playlist`; `reason` is the reason of the dead letter.
pub(crate) fn poison(id: &str, playlist: &str, payload: impl Into<Vec<u8>>, reason: &'static str) -> Sent {
    Sent {
        id: id.to_owned(),
        subject: format!("plays.{playlist}"),
        payload: payload.into(),
        form: Form::Plain,
        poison: Some(reason),
    }
}

/// Plays of `pl_1` with 4,000 more bytes each.
pub(crate) fn large(name: &str, numbers: Range<u32>) -> Vec<Sent> {
    let padding = "x".repeat(4_000);
    plays(name, "pl_1", numbers)
        .into_iter()
        .map(|play| play.with("padding", padding.as_str()))
        .collect()
}
