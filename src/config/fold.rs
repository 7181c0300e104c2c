//! Settings of the fold.
//!
//! Owns how the horizon of event ids is written. Must never start anything.

use std::time::Duration;

use clap::Args;

use super::check::Check;
use super::trim::TrimConfig;
use rolekeeper_domain::horizon::Horizon;
use rolekeeper_domain::tenant::TenantName;

const LONGEST: Duration = Duration::from_hours(24 * 90);

/// The fold.
#[derive(Clone, Debug)]
pub struct FoldConfig {
    /// Most events in one transaction.
    pub batch: usize,
    /// How long event ids are remembered beyond the stream's duplicate window, if at all.
    pub dedup_horizon: Option<Horizon>,
    /// How long folded messages stay in their stream.
    pub trim: TrimConfig,
    /// Our own client id, where it is known: tells our writes from those of others.
    pub own_client_id: Option<String>,
    /// What the tenant's records call it, where it is known: tells them from those of others.
    pub tenant: Option<TenantName>,
}

/// How long event ids are remembered.
#[derive(Args, Clone, Debug)]
pub struct HorizonArgs {
    /// How long event ids are remembered beyond the stream's duplicate window, such as `24h`; `off` for not at all
    #[arg(long, env = "DEDUP_HORIZON", default_value = "off")]
    pub dedup_horizon: String,
}

impl HorizonArgs {
    /// The horizon, if there is one.
    pub(super) fn check(&self, check: &mut Check) -> Option<Horizon> {
        let text = self.dedup_horizon.trim();
        if text == "off" {
            return None;
        }
        let span = humantime::parse_duration(text)
            .ok()
            .filter(|span| *span <= LONGEST);
        let horizon = span.and_then(Horizon::new);
        if horizon.is_none() {
            check.fault(
                "DEDUP_HORIZON",
                text,
                "`off`, or a time from 4s to 90days such as 24h",
            );
        }
        horizon
    }
}
