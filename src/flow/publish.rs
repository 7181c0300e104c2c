//! Publishes changes of users to their playlists, as app servers do: one event each, under its id.
//!
//! Owns the form of these events, by the contract of `domain::event`. Must never write a playlist itself: it exists, or
//! is gone, once the fold has taken the event.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::bus::{Bus, Outgoing};

pub use crate::bus::PublishError as NotPublished;
use rolekeeper_domain::ids::{Token, UserId};
use rolekeeper_domain::name::Name;
use rolekeeper_domain::subjects::PLAYLISTS;

/// The way of playlists onto the bus.
#[derive(Clone, Debug)]
pub struct Publish(Bus);

/// The event that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The playlist of the event.
    pub playlist_id: String,
    /// Id of the event, and of its message.
    pub event_id: String,
}

impl Publish {
    /// Publishes on `bus`.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self(bus)
    }

    /// Publishes a new playlist of `owner`, with an id made here.
    ///
    /// # Errors
    /// The event is not known to be stored. If the playlist appears nevertheless, the owner can delete it.
    pub async fn saved(&self, owner: &UserId<'_>, name: &Name) -> Result<Published, NotPublished> {
        let playlist = format!("pl_{}", Uuid::now_v7().simple());
        let saved = json!({"type": "playlist_saved", "owner_id": owner.as_str(), "name": name.as_str()});
        self.publish(playlist, saved).await
    }

    /// Publishes a deletion. It takes effect if the playlist still belongs to `owner` when the event is folded.
    ///
    /// # Errors
    /// The event is not known to be stored; deleting again is safe.
    pub async fn deleted(&self, owner: &UserId<'_>, playlist: &Token<'_>) -> Result<Published, NotPublished> {
        let deleted = json!({"type": "playlist_deleted", "owner_id": owner.as_str()});
        self.publish(playlist.as_str().to_owned(), deleted).await
    }

    async fn publish(&self, playlist_id: String, mut event: Value) -> Result<Published, NotPublished> {
        let event_id = Uuid::now_v7().to_string();
        event["event_id"] = event_id.as_str().into();
        event["playlist_id"] = playlist_id.as_str().into();
        let message = Outgoing {
            subject: format!("{PLAYLISTS}{playlist_id}"),
            id: event_id.clone(),
            content_type: None,
            payload: event.to_string().into(),
        };
        self.0.publish(message).await?;
        Ok(Published {
            playlist_id,
            event_id,
        })
    }
}
