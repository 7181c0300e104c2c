//! The streams: making them, bringing them in order, asking how they stand.
//!
//! Owns their names and what they say of themselves. Must never delete, purge or shrink one.

use async_nats::jetstream;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::Info;
use serde::Deserialize as _;
use serde_json::Value;

use super::shape::{self, Limits, Shape};
use super::{Bus, BusError};

/// Plays and playlists, published by app servers.
pub const APP_EVENTS: &str = "APP_EVENTS";
/// The tenant's log, as Auth0's log stream sent it.
pub const AUTH0_LOGS: &str = "AUTH0_LOGS";
/// Changes of roles, announced by us.
pub const ROLE_CHANGES: &str = "ROLE_CHANGES";
/// Streams that are folded.
pub const STREAMS: [&str; 2] = [APP_EVENTS, AUTH0_LOGS];

const ERROR_STREAM_NOT_FOUND: u64 = 10059;

/// What a stream says of itself.
#[derive(Clone, Debug)]
pub struct StreamState {
    /// When it was made, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the oldest message still there; `last_seq + 1` when there is none.
    pub first_seq: u64,
    /// Sequence of the newest message ever stored; 0 when there was none.
    pub last_seq: u64,
    /// Messages held.
    pub messages: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Most bytes it may hold; at or below 0 when there is no limit.
    pub max_bytes: i64,
    /// Store time of the newest message, Unix nanoseconds; far in the past when there is none.
    pub last_stored_ns: i64,
    /// How it differs from what it must look like, one sentence a difference.
    pub differences: Vec<String>,
    /// Whether it can never be trimmed: `deny_purge` cannot be taken off.
    pub denies_purge: bool,
    /// Whether it copies another stream, and takes no messages of its own.
    pub is_mirror: bool,
    /// Whether its subjects are those of partitions.
    pub has_transform: bool,
}

impl Bus {
    /// Makes the stream with `made` if it is not there; else brings its guards in order and widens it to `there`.
    /// Answers which limits were left as they are, too.
    ///
    /// # Errors
    /// JetStream refused; nothing is lost then, the stream stays as it was.
    pub async fn ensure_stream(
        &self,
        name: &'static str,
        made: Limits,
        there: Limits,
    ) -> Result<(StreamState, Vec<String>), BusError> {
        let Some(info) = self.info_if_there(name).await? else {
            let made = shape::new(name, made);
            let info = self.ask("create stream", "STREAM.CREATE", name, &made).await?;
            return Ok((state(&parsed(&info)?, &config_of(&info), name), Vec::new()));
        };
        let before = config_of(&info);
        let mut edited = before.clone();
        let left = shape::edit(&mut edited, name, there);
        let info = if edited == before {
            info
        } else {
            self.ask("update stream", "STREAM.UPDATE", name, &edited).await?
        };
        Ok((state(&parsed(&info)?, &config_of(&info), name), left))
    }

    /// What the stream says of itself now.
    ///
    /// # Errors
    /// It is not there, or JetStream does not answer.
    pub async fn stream_state(&self, name: &str) -> Result<StreamState, BusError> {
        let info = self.info_if_there(name).await?;
        let info = info.ok_or_else(|| BusError::NoStream(name.to_owned()))?;
        Ok(state(&parsed(&info)?, &config_of(&info), name))
    }

    /// STREAM.INFO as it came, so that fields this release does not know are kept.
    pub(super) async fn info_if_there(&self, name: &str) -> Result<Option<Value>, BusError> {
        let asked = self.request(format!("STREAM.INFO.{name}"), &()).await;
        match asked.map_err(|error| said("look at stream", &error))? {
            Response::Ok(info) => Ok(Some(info)),
            Response::Err { error } if is_not_found(&error) => Ok(None),
            Response::Err { error } => Err(said("look at stream", &error)),
        }
    }

    async fn ask(
        &self,
        doing: &'static str,
        what: &str,
        name: &str,
        shape: &Shape,
    ) -> Result<Value, BusError> {
        let asked = self.request(format!("{what}.{name}"), shape).await;
        match asked.map_err(|error| said(doing, &error))? {
            Response::Ok(info) => Ok(info),
            Response::Err { error } => Err(said(doing, &error)),
        }
    }
}

fn is_not_found(refusal: &jetstream::Error) -> bool {
    refusal.error_code().0 == ERROR_STREAM_NOT_FOUND
}

pub(super) fn said(doing: &'static str, error: &dyn std::fmt::Display) -> BusError {
    BusError::JetStream {
        doing,
        why: error.to_string(),
    }
}

pub(super) fn parsed(info: &Value) -> Result<Info, BusError> {
    Info::deserialize(info).map_err(|error| said("read what the stream says of itself", &error))
}

pub(super) fn config_of(info: &Value) -> Shape {
    info["config"].as_object().cloned().unwrap_or_default()
}

pub(super) fn state(info: &Info, shape: &Shape, name: &str) -> StreamState {
    StreamState {
        created_ns: unix_ns(info.created),
        first_seq: info.state.first_sequence,
        last_seq: info.state.last_sequence,
        messages: info.state.messages,
        bytes: info.state.bytes,
        max_bytes: info.config.max_bytes,
        last_stored_ns: unix_ns(info.state.last_timestamp),
        differences: shape::differences(shape, name),
        denies_purge: shape::denies_purge(shape),
        is_mirror: shape::is_mirror(shape),
        has_transform: shape::has_transform(shape),
    }
}

/// Unix nanoseconds. They fit an i64 until 2262; a date outside (an empty stream's year 1) is clamped.
pub(super) fn unix_ns(at: time::OffsetDateTime) -> i64 {
    let ns = at.unix_timestamp_nanos();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}
