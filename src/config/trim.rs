//! Settings of the trimming of streams.
//!
//! Owns the times for which folded messages stay. Must never start anything.

use std::time::Duration;

use clap::Args;

use super::check::Check;

const LONGEST: Duration = Duration::from_hours(24 * 3650);

/// How long folded messages stay in their stream.
#[derive(Args, Clone, Debug)]
pub struct TrimArgs {
    /// How long a folded message stays in its stream while there is room, such as `7days`
    #[arg(long, env = "KEEP_FOLDED", default_value = "7days")]
    pub keep_folded: String,
    /// How long a message stays after its commit, whatever the free room: a promoted replica of Postgres that lags must fold
    /// it again
    #[arg(long, env = "TRIM_FLOOR", default_value = "15min")]
    pub trim_floor: String,
    /// How much longer than the stream's duplicate window a message stays, whatever the free room
    #[arg(long, env = "TRIM_MARGIN", default_value = "5min")]
    pub trim_margin: String,
}

/// How long folded messages stay in their stream.
#[derive(Clone, Copy, Debug)]
pub struct TrimConfig {
    /// Age up to which a folded message stays while the stream has room.
    pub keep: Duration,
    /// Time for which a message stays after its commit, whatever the free room.
    pub floor: Duration,
    /// Time beyond the duplicate window for which a message stays, whatever the free room.
    pub margin: Duration,
}

impl TrimArgs {
    pub(super) fn check(&self, check: &mut Check) -> TrimConfig {
        let mut span = |setting: &str, value: &str, default: Duration| {
            let text = value.trim();
            if text.is_empty() {
                return default;
            }
            match humantime::parse_duration(text) {
                Ok(span) if span <= LONGEST => span,
                _ => {
                    check.fault(setting, value, "a time such as 7days or 15min, ten years at most");
                    default
                }
            }
        };
        TrimConfig {
            keep: span("KEEP_FOLDED", &self.keep_folded, Duration::from_hours(7 * 24)),
            floor: span("TRIM_FLOOR", &self.trim_floor, Duration::from_mins(15)),
            margin: span("TRIM_MARGIN", &self.trim_margin, Duration::from_mins(5)),
        }
    }
}
