//! Settings of the log.
//!
//! Owns format and level, as text; `telemetry` parses them.

use clap::Args;

/// Format and level of the log.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// `text` or `json`
    #[arg(long, env = "LOG_FORMAT", default_value = "text", global = true)]
    pub log_format: String,
    /// A level (`info`) or a filter (`info,rolekeeper=debug`)
    #[arg(long, env = "LOG_LEVEL", default_value = "info", global = true)]
    pub log_level: String,
}
