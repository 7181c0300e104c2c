//! How the tenant's log is watched, and its gaps filled.
//!
//! Owns these settings. The log comes by the webhook; this is what helps when it does not.

use std::time::Duration;

use clap::Args;

use super::check::Check;

/// How the tenant's log is watched, and its gaps filled.
#[derive(Args, Clone, Debug)]
pub struct TenantLogArgs {
    /// `on` to read what the log stream has dropped from the tenant's log; needs the scope read:logs
    #[arg(long, env = "LOG_GAP_FILLER", default_value = "off")]
    pub log_gap_filler: String,
    /// Where the gap filler begins when it has never run: `newest`, `oldest` (all that the tenant still keeps), or behind
    /// the record with this `log_id`
    #[arg(long, env = "LOG_GAP_FILLER_START", default_value = "newest")]
    pub log_gap_filler_start: String,
    /// Seconds that a record is left to the log stream before the gap filler reads it, and between two readings
    #[arg(long, env = "LOG_GAP_FILLER_DELAY_S", default_value = "60")]
    pub log_gap_filler_delay_s: String,
    /// Seconds without a delivery after which the log stream is said to be silent; 0 to say nothing
    #[arg(long, env = "LOG_STREAM_SILENT_AFTER_S", default_value = "3600")]
    pub log_stream_silent_after_s: String,
}

/// The same, checked.
#[derive(Clone, Debug)]
pub struct TenantLogConfig {
    /// Present when gaps are filled.
    pub gap_filler: Option<GapFillerConfig>,
    /// How long the log stream may be silent; none to say nothing.
    pub silent_after: Option<Duration>,
}

/// The gap filler.
#[derive(Clone, Debug)]
pub struct GapFillerConfig {
    /// Where it begins when it has never run.
    pub start: Start,
    /// How old a record must be, and the time between two readings.
    pub delay: Duration,
}

/// A place in the tenant's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Only what comes from now on.
    Newest,
    /// All that the tenant still keeps.
    Oldest,
    /// Behind the record with this id.
    Behind(String),
}

impl TenantLogArgs {
    pub(super) fn check(&self, check: &mut Check) -> TenantLogConfig {
        let on = check.word(
            "LOG_GAP_FILLER",
            &self.log_gap_filler,
            &[("on", true), ("off", false)],
        );
        let start = self.start(check);
        let delay = check.number(
            "LOG_GAP_FILLER_DELAY_S",
            &self.log_gap_filler_delay_s,
            &(1..=3_600),
        );
        let silent = check.number(
            "LOG_STREAM_SILENT_AFTER_S",
            &self.log_stream_silent_after_s,
            &(0..=2_592_000),
        );
        TenantLogConfig {
            gap_filler: on.then_some(GapFillerConfig {
                start,
                delay: Duration::from_secs(delay),
            }),
            silent_after: (silent > 0).then_some(Duration::from_secs(silent)),
        }
    }

    fn start(&self, check: &mut Check) -> Start {
        match self.log_gap_filler_start.trim() {
            "newest" => Start::Newest,
            "oldest" => Start::Oldest,
            // Ids are digits as far as anybody has seen; a typing error in one of the two words is none.
            id if (20..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Start::Behind(id.to_owned())
            }
            other => {
                check.fault(
                    "LOG_GAP_FILLER_START",
                    other,
                    "newest, oldest, or the log_id of a record",
                );
                Start::Newest
            }
        }
    }
}
