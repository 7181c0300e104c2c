//! The streams: creating them, correcting them, reading their state.
//!
//! Owns their state. Must never delete, purge or shrink a stream.

use async_nats::jetstream;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::Info;
use serde::Deserialize as _;
use serde_json::Value;

use super::shape::{self, Limits, Shape};
use super::{Bus, BusError};
use rolekeeper_domain::sequence_check::Extent;

const ERROR_STREAM_NOT_FOUND: u64 = 10059;

/// State of a stream.
#[derive(Clone, Debug)]
pub struct StreamState {
    /// When it was created, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the oldest stored message; `last_seq + 1` without one.
    pub first_seq: u64,
    /// Sequence of the newest message ever stored; 0 without one.
    pub last_seq: u64,
    /// Number of stored messages.
    pub messages: u64,
    /// Bytes of stored messages.
    pub bytes: u64,
    /// Most bytes that it may hold; 0 or less without a limit.
    pub max_bytes: i64,
    /// Store time of the newest message, Unix nanoseconds; far in the past without one.
    pub last_stored_ns: i64,
    /// One sentence for each difference from its guards.
    pub differences: Vec<String>,
    /// Whether it can never be trimmed: `deny_purge` cannot be removed.
    pub denies_purge: bool,
    /// Whether it is a mirror of another stream, and accepts no messages.
    pub is_mirror: bool,
    /// Whether its subjects are partitions.
    pub has_transform: bool,
}

impl StreamState {
    /// The range of its messages, which the sequence check compares with the cursor.
    #[must_use]
    pub fn extent(&self) -> Extent {
        Extent {
            created_ns: self.created_ns,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            messages: self.messages,
        }
    }
}

impl Bus {
    /// Creates the stream with `made` if it does not exist; else corrects its guards and widens it to `there`.
    /// Returns its state, and one sentence for each limit that was not changed.
    ///
    /// # Errors
    /// JetStream refused; the stream is then unchanged.
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

    /// Returns the present state of the stream.
    ///
    /// # Errors
    /// The stream does not exist, or JetStream does not respond.
    pub async fn stream_state(&self, name: &str) -> Result<StreamState, BusError> {
        let info = self.info_if_there(name).await?;
        let info = info.ok_or_else(|| BusError::NoStream(name.to_owned()))?;
        Ok(state(&parsed(&info)?, &config_of(&info), name))
    }

    /// Returns STREAM.INFO unchanged, so that fields which this release does not know are kept.
    pub(super) async fn info_if_there(&self, name: &str) -> Result<Option<Value>, BusError> {
        let asked = self.request(format!("STREAM.INFO.{name}"), &()).await;
        match asked.map_err(|error| said("read stream state", &error))? {
            Response::Ok(info) => Ok(Some(info)),
            Response::Err { error } if is_not_found(&error) => Ok(None),
            Response::Err { error } => Err(said("read stream state", &error)),
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
    Info::deserialize(info).map_err(|error| said("parse stream state", &error))
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

/// Returns Unix nanoseconds. They fit an i64 until 2262; a date outside (year 1 of an empty stream) is clamped.
pub(super) fn unix_ns(at: time::OffsetDateTime) -> i64 {
    let ns = at.unix_timestamp_nanos();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}
