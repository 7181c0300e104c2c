//! Settings of the silence check and of the gap filler.
//!
//! Owns these settings. The tenant's log arrives by the webhook; these settings are for records that do not arrive.

use std::time::Duration;

use clap::Args;

use super::check::Check;

/// Settings of the silence check and of the gap filler.
#[derive(Args, Clone, Debug)]
pub struct TenantLogArgs {
    /// `on` reads records that the log stream dropped from the tenant's log; needs the scope read:logs
    #[arg(long, env = "LOG_GAP_FILLER", default_value = "off")]
    pub log_gap_filler: String,
    /// Where the gap filler begins when it has never run: `newest`, `oldest` (all records that the tenant still keeps), or
    /// after the record with this `log_id`
    #[arg(long, env = "LOG_GAP_FILLER_START", default_value = "newest")]
    pub log_gap_filler_start: String,
    /// Seconds that the log stream has to deliver a record before the gap filler reads it, and between two reads, 1 to 3600
    #[arg(long, env = "LOG_GAP_FILLER_DELAY_S", default_value = "60")]
    pub log_gap_filler_delay_s: String,
    /// Seconds without a delivery after which the log stream is reported as silent, 0 to 2592000; 0 never reports it
    #[arg(long, env = "LOG_STREAM_SILENT_AFTER_S", default_value = "3600")]
    pub log_stream_silent_after_s: String,
}

/// Checked settings of the silence check and of the gap filler.
#[derive(Clone, Debug)]
pub struct TenantLogConfig {
    /// Present when gaps are filled.
    pub gap_filler: Option<GapFillerConfig>,
    /// How long the log stream may be silent before it is reported; none never reports it.
    pub silent_after: Option<Duration>,
}

/// Checked settings of the gap filler.
#[derive(Clone, Debug)]
pub struct GapFillerConfig {
    /// Where it begins when it has never run.
    pub start: Start,
    /// Age at which a record is read, and the time between two reads.
    pub delay: Duration,
}

/// A position in the tenant's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The end: only records that are logged from now on.
    Newest,
    /// The beginning: all records that the tenant still keeps.
    Oldest,
    /// The position after the record with this id.
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
            // All ids seen so far consist of digits; a typing error in `newest` or `oldest` must not pass as an id.
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
