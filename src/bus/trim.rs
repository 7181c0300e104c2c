//! Removing the oldest messages of a stream, and the state that the caller needs before.
//!
//! Owns the purge. Must never select messages in another way than by sequence: the caller decides which ones may be removed.

use std::time::Duration;

use async_nats::jetstream::response::Response;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::streams::{config_of, parsed, said, state, unix_ns};
use super::{Bus, BusError, StreamState};

/// The room of a stream, and the limits of its trimming.
#[derive(Clone, Debug)]
pub struct Room {
    /// State of the stream.
    pub state: StreamState,
    /// Time of the server's clock, Unix nanoseconds: store times are from the same clock.
    pub now_ns: i64,
    /// Longest time that a message is kept; zero without a limit.
    pub max_age: Duration,
    /// Duplicate window of the stream, which the server rebuilds from stored messages.
    pub duplicate_window: Duration,
}

impl Bus {
    /// Returns the room of `stream`.
    ///
    /// # Errors
    /// The stream does not exist, or JetStream does not respond.
    pub async fn room(&self, stream: &str) -> Result<Room, BusError> {
        let info = self.info_if_there(stream).await?;
        let info = info.ok_or_else(|| BusError::NoStream(stream.to_owned()))?;
        let typed = parsed(&info)?;
        let now =
            time_of(&info["ts"]).ok_or_else(|| said("read stream state", &"the response has no time"))?;
        Ok(Room {
            state: state(&typed, &config_of(&info), stream),
            now_ns: now,
            max_age: typed.config.max_age,
            duplicate_window: typed.config.duplicate_window,
        })
    }

    /// Returns the last sequence that all durable consumers of `stream` have acknowledged; none without a durable consumer.
    ///
    /// # Errors
    /// JetStream does not respond.
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

    /// Removes all messages before sequence `first`; returns their number.
    ///
    /// # Errors
    /// JetStream refused, or does not respond; in the latter case the messages may nevertheless be removed.
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
