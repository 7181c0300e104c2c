//! Settings of the streams, for `migrate`.
//!
//! Owns the given limits and the defaults of a new stream. Must never start anything.

use std::time::Duration;

use clap::Args;

use super::check::Check;

const MIB: i64 = 1 << 20;
const DAY: Duration = Duration::from_hours(24);
/// Copies of each message in a new stream.
const REPLICAS: i64 = 1;
/// Days that a new stream keeps a message.
const AGE_D: u32 = 30;
const APP_EVENTS_MIB: i64 = 4096;
const AUTH0_LOGS_MIB: i64 = 1024;
const ROLE_CHANGES_MIB: i64 = 1024;

/// Limits of the streams. An existing stream keeps its own limit where none is given.
#[derive(Args, Clone, Debug)]
pub struct StreamsArgs {
    /// Copies that a JetStream cluster keeps of each message, 1 to 5 [new streams: 1]
    #[arg(long, env = "STREAM_REPLICAS")]
    pub stream_replicas: Option<String>,
    /// Most MiB that APP_EVENTS may hold, 1 to 1073741824 [new stream: 4096]
    #[arg(long, env = "APP_EVENTS_MAX_MIB")]
    pub app_events_max_mib: Option<String>,
    /// Days that APP_EVENTS keeps an event at most, 1 to 3650 [new stream: 30]
    #[arg(long, env = "APP_EVENTS_MAX_AGE_D")]
    pub app_events_max_age_d: Option<String>,
    /// Most MiB that AUTH0_LOGS may hold, 1 to 1073741824 [new stream: 1024]
    #[arg(long, env = "AUTH0_LOGS_MAX_MIB")]
    pub auth0_logs_max_mib: Option<String>,
    /// Days that AUTH0_LOGS keeps a record at most, 1 to 3650 [new stream: 30]
    #[arg(long, env = "AUTH0_LOGS_MAX_AGE_D")]
    pub auth0_logs_max_age_d: Option<String>,
    /// Most MiB that ROLE_CHANGES may hold, 1 to 1073741824; while it is full, changes wait to be announced [new stream: 1024]
    #[arg(long, env = "ROLE_CHANGES_MAX_MIB")]
    pub role_changes_max_mib: Option<String>,
    /// Days that ROLE_CHANGES keeps a change, 1 to 3650 [new stream: 30]
    #[arg(long, env = "ROLE_CHANGES_MAX_AGE_D")]
    pub role_changes_max_age_d: Option<String>,
    /// Print the room that APP_EVENTS needs for this many events per second, 1 to 1073741824
    #[arg(long, env = "APP_EVENTS_PER_S")]
    pub events_per_s: Option<String>,
    /// Make limits narrower too, where a given limit is narrower than the stream's; without this flag limits only widen
    #[arg(long)]
    pub narrow: bool,
}

/// Checked limits of the streams.
#[derive(Clone, Debug)]
pub struct StreamsConfig {
    /// Limits of APP_EVENTS.
    pub app_events: StreamLimits,
    /// Limits of AUTH0_LOGS.
    pub auth0_logs: StreamLimits,
    /// Limits of ROLE_CHANGES.
    pub role_changes: StreamLimits,
    /// Copies of each message, where given.
    pub replicas: Option<i64>,
    /// Copies of each message in a new stream.
    pub new_replicas: i64,
    /// Rate of events whose room is printed.
    pub events_per_s: Option<i64>,
    /// Whether limits may become narrower.
    pub narrow: bool,
}

/// Limits of one stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Most bytes, where given.
    pub max_bytes: Option<i64>,
    /// Longest age, where given.
    pub max_age: Option<Duration>,
    /// Most bytes of a new stream.
    pub new_max_bytes: i64,
    /// Longest age in a new stream.
    pub new_max_age: Duration,
}

impl StreamsArgs {
    pub(super) fn check(&self, check: &mut Check) -> StreamsConfig {
        let mut limits = |mib: (&str, &Option<String>), age: (&str, &Option<String>), new_mib: i64| {
            let max_bytes = optional(check, mib.0, mib.1.as_deref(), 1 << 30).map(|mib| MIB * mib);
            let max_age = optional(check, age.0, age.1.as_deref(), 3650);
            let max_age = max_age
                .and_then(|days| u32::try_from(days).ok())
                .map(|days| DAY * days);
            StreamLimits {
                max_bytes,
                max_age,
                new_max_bytes: max_bytes.unwrap_or(MIB * new_mib),
                new_max_age: max_age.unwrap_or(DAY * AGE_D),
            }
        };
        let app_events = limits(
            ("APP_EVENTS_MAX_MIB", &self.app_events_max_mib),
            ("APP_EVENTS_MAX_AGE_D", &self.app_events_max_age_d),
            APP_EVENTS_MIB,
        );
        let auth0_logs = limits(
            ("AUTH0_LOGS_MAX_MIB", &self.auth0_logs_max_mib),
            ("AUTH0_LOGS_MAX_AGE_D", &self.auth0_logs_max_age_d),
            AUTH0_LOGS_MIB,
        );
        let role_changes = limits(
            ("ROLE_CHANGES_MAX_MIB", &self.role_changes_max_mib),
            ("ROLE_CHANGES_MAX_AGE_D", &self.role_changes_max_age_d),
            ROLE_CHANGES_MIB,
        );
        let replicas = optional(check, "STREAM_REPLICAS", self.stream_replicas.as_deref(), 5);
        StreamsConfig {
            app_events,
            auth0_logs,
            role_changes,
            replicas,
            new_replicas: replicas.unwrap_or(REPLICAS),
            events_per_s: optional(check, "APP_EVENTS_PER_S", self.events_per_s.as_deref(), 1 << 30),
            narrow: self.narrow,
        }
    }
}

/// Returns a number from 1 to `most`, if one is given; an empty value counts as unset.
fn optional(check: &mut Check, setting: &str, value: Option<&str>, most: i64) -> Option<i64> {
    let value = value.map(str::trim).filter(|value| !value.is_empty())?;
    Some(check.number(setting, value, &(1..=most)))
}
