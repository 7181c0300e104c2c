//! The streams: what they must look like, making them, checking them.
//!
//! Owns names, subjects and guards of the streams. Must never delete, purge or shrink one.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, context::GetStreamErrorKind};

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

/// Limits of one stream; the rest of its shape is fixed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Copies a cluster keeps of each message.
    pub replicas: usize,
    /// Most bytes it may hold; past that publishers are refused.
    pub max_bytes: i64,
    /// How long a message is kept.
    pub max_age: Duration,
}

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
}

impl Bus {
    /// Makes the stream if it is not there, widens it to what it must look like if it is.
    ///
    /// # Errors
    /// JetStream refused; nothing is lost then, the stream stays as it was.
    pub async fn ensure_stream(&self, name: &'static str, limits: Limits) -> Result<StreamState, BusError> {
        let wanted = config(name, limits);
        let info = match self.info(name).await {
            Err(BusError::NoStream(_)) => {
                let made = self.jetstream.create_stream(wanted.clone()).await;
                made.map_err(|error| said("create stream", &error))?
                    .cached_info()
                    .clone()
            }
            Ok(there)
                if !differences(&there.config, name).is_empty() || limits_differ(&there.config, limits) =>
            {
                let update = Config {
                    max_messages: -1,
                    max_messages_per_subject: -1,
                    description: there.config.description.clone(),
                    placement: there.config.placement.clone(),
                    ..wanted
                };
                self.jetstream
                    .update_stream(update)
                    .await
                    .map_err(|error| said("update stream", &error))?
            }
            other => other?,
        };
        Ok(state(&info, name))
    }

    /// What the stream says of itself now.
    ///
    /// # Errors
    /// It is not there, or JetStream does not answer.
    pub async fn stream_state(&self, name: &str) -> Result<StreamState, BusError> {
        Ok(state(&self.info(name).await?, name))
    }

    async fn info(&self, name: &str) -> Result<Info, BusError> {
        Ok(self.stream(name).await?.cached_info().clone())
    }

    async fn stream(&self, name: &str) -> Result<Stream, BusError> {
        match self.jetstream.get_stream(name).await {
            Ok(stream) => Ok(stream),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(refusal) if is_not_found(&refusal) => {
                    Err(BusError::NoStream(name.to_owned()))
                }
                _ => Err(said("look at stream", &error)),
            },
        }
    }
}

fn is_not_found(refusal: &jetstream::Error) -> bool {
    refusal.error_code().0 == ERROR_STREAM_NOT_FOUND
}

fn said(doing: &'static str, error: &dyn std::fmt::Display) -> BusError {
    BusError::JetStream {
        doing,
        why: error.to_string(),
    }
}

fn subjects(name: &str) -> Vec<String> {
    let subjects: &[&str] = match name {
        APP_EVENTS => &["plays.*", "playlists.*"],
        ROLE_CHANGES => &["roles.*.*"],
        _ => &["auth0.logs.*"],
    };
    subjects.iter().map(|subject| (*subject).to_owned()).collect()
}

/// Publishers' repeats are dropped inside this window.
fn duplicate_window(name: &str) -> Duration {
    // Auth0 repeats a batch until it succeeds; app servers retry for minutes at most.
    if name == AUTH0_LOGS {
        Duration::from_hours(2)
    } else {
        Duration::from_mins(10)
    }
}

fn config(name: &str, limits: Limits) -> Config {
    Config {
        name: name.to_owned(),
        subjects: subjects(name),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        max_bytes: limits.max_bytes,
        max_age: limits.max_age,
        num_replicas: limits.replicas,
        duplicate_window: duplicate_window(name),
        ..Config::default()
    }
}

fn limits_differ(there: &Config, limits: Limits) -> bool {
    there.max_bytes != limits.max_bytes
        || there.max_age != limits.max_age
        || there.num_replicas != limits.replicas
}

/// Compares what we rely on; limits are the operator's to choose.
fn differences(there: &Config, name: &str) -> Vec<String> {
    let wanted = subjects(name);
    let mut found = Vec::new();
    let mut compare = |setting: &str, has: String, expected: String| {
        if has != expected {
            found.push(format!("{setting} is {has}, expected {expected}"));
        }
    };
    compare("subjects", format!("{:?}", there.subjects), format!("{wanted:?}"));
    compare("retention", format!("{:?}", there.retention), "Limits".to_owned());
    compare("storage", format!("{:?}", there.storage), "File".to_owned());
    compare("discard", format!("{:?}", there.discard), "New".to_owned());
    compare("deny_delete", there.deny_delete.to_string(), "true".to_owned());
    compare("deny_purge", there.deny_purge.to_string(), "true".to_owned());
    compare(
        "max_msgs_per_subject",
        there.max_messages_per_subject.clamp(0, 1).to_string(),
        "0".to_owned(),
    );
    compare(
        "duplicate_window",
        format!("{:?}", there.duplicate_window),
        format!("{:?}", duplicate_window(name)),
    );
    found
}

fn state(info: &Info, name: &str) -> StreamState {
    StreamState {
        created_ns: unix_ns(info.created),
        first_seq: info.state.first_sequence,
        last_seq: info.state.last_sequence,
        messages: info.state.messages,
        bytes: info.state.bytes,
        max_bytes: info.config.max_bytes,
        last_stored_ns: unix_ns(info.state.last_timestamp),
        differences: differences(&info.config, name),
    }
}

/// Unix nanoseconds. They fit an i64 until 2262; a date outside (an empty stream's year 1) is clamped.
pub(super) fn unix_ns(at: time::OffsetDateTime) -> i64 {
    let ns = at.unix_timestamp_nanos();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}
