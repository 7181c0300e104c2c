//! Removing the oldest messages of a stream, and what must be known before.
//!
//! Owns the purge. Must never remove a message by anything but its sequence: which ones may go is the caller's to know.

use std::time::Duration;

use async_nats::jetstream::response::Response;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::streams::{config_of, parsed, said, state, unix_ns};
use super::{Bus, BusError, StreamState};

/// How much room a stream has, and what bounds its trimming.
#[derive(Clone, Debug)]
pub struct Room {
    /// What the stream says of itself.
    pub state: StreamState,
    /// The server's clock, Unix nanoseconds: store times are of the same clock.
    pub now_ns: i64,
    /// How long a message is kept at most; zero where its age has no bound.
    pub max_age: Duration,
    /// Publishers' repeats are dropped inside this window, which the server rebuilds from stored messages.
    pub duplicate_window: Duration,
}

impl Bus {
    /// How much room `stream` has.
    ///
    /// # Errors
    /// It is not there, or JetStream does not answer.
    pub async fn room(&self, stream: &str) -> Result<Room, BusError> {
        let info = self.info_if_there(stream).await?;
        let info = info.ok_or_else(|| BusError::NoStream(stream.to_owned()))?;
        let typed = parsed(&info)?;
        let now = time_of(&info["ts"]).ok_or_else(|| said("look at stream", &"the server tells no time"))?;
        Ok(Room {
            state: state(&typed, &config_of(&info), stream),
            now_ns: now,
            max_age: typed.config.max_age,
            duplicate_window: typed.config.duplicate_window,
        })
    }

    /// Last sequence that all durable consumers of `stream` have acknowledged; none where there is no such consumer.
    ///
    /// # Errors
    /// JetStream does not answer.
    pub async fn acknowledged(&self, stream: &str) -> Result<Option<u64>, BusError> {
        let subject = format!("{}.CONSUMER.LIST.{stream}", self.api_prefix);
        let stream = self.jetstream.get_stream_no_info(stream).await;
        let mut consumers = stream
            .map_err(|error| said("list consumers", &error))?
            .consumers();
        let mut least = None::<u64>;
        let mut next = async || {
            let next = self.answered(&subject, self.refusals.now(), consumers.try_next());
            next.await.map_err(|error| said("list consumers", &error))
        };
        while let Some(consumer) = next().await? {
            if consumer.config.durable_name.is_some() {
                let floor = consumer.ack_floor.stream_sequence;
                least = Some(least.map_or(floor, |least| least.min(floor)));
            }
        }
        Ok(least)
    }

    /// Removes all messages before sequence `first`; answers how many.
    ///
    /// # Errors
    /// JetStream refused, or does not answer; the messages may be gone all the same.
    pub async fn purge_before(&self, stream: &str, first: u64) -> Result<u64, BusError> {
        let wanted = json!({"seq": first});
        let asked = self.request(format!("STREAM.PURGE.{stream}"), &wanted);
        match asked.await.map_err(|error| said("purge", &error))? {
            Response::Ok(done) => {
                let done: Value = done;
                Ok(done["purged"].as_u64().unwrap_or(0))
            }
            Response::Err { error } => Err(said("purge", &error)),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "becomes nanoseconds, never a date for the database"
)]
fn time_of(text: &Value) -> Option<i64> {
    let at = OffsetDateTime::parse(text.as_str()?, &Rfc3339).ok()?;
    Some(unix_ns(at))
}
