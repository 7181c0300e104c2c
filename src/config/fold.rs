//! Settings of the fold.
//!
//! Owns the text form of the dedup window. Must never start anything.

use std::time::Duration;

use clap::Args;

use super::check::Check;
use super::trim::TrimConfig;
use rolekeeper_domain::dedup_window::DedupWindow;
use rolekeeper_domain::tenant::TenantName;

const LONGEST: Duration = Duration::from_hours(24 * 90);

/// Checked settings of the fold.
#[derive(Clone, Debug)]
pub struct FoldConfig {
    /// Most events in one transaction.
    pub batch: usize,
    /// Dedup window: how long event ids are remembered beyond the stream's duplicate window, if at all.
    pub dedup_window: Option<DedupWindow>,
    /// How long folded messages stay in their stream.
    pub trim: TrimConfig,
    /// Our own client id, where it is known: distinguishes our writes from writes of other clients.
    pub own_client_id: Option<String>,
    /// The tenant's name in its log records, where it is known: distinguishes them from records of another tenant.
    pub tenant: Option<TenantName>,
}

/// The setting of the dedup window.
#[derive(Args, Clone, Debug)]
pub struct DedupArgs {
    /// Dedup window: how long event ids are remembered beyond the stream's duplicate window, such as `24h` (4s to 90days); `off` to
    /// remember none
    #[arg(long, env = "DEDUP_WINDOW", default_value = "off")]
    pub dedup_window: String,
}

impl DedupArgs {
    /// Returns the dedup window, if one is set.
    pub(super) fn check(&self, check: &mut Check) -> Option<DedupWindow> {
        let text = self.dedup_window.trim();
        if text == "off" {
            return None;
        }
        let span = humantime::parse_duration(text)
            .ok()
            .filter(|span| *span <= LONGEST);
        let dedup_window = span.and_then(DedupWindow::new);
        if dedup_window.is_none() {
            check.fault(
                "DEDUP_WINDOW",
                text,
                "`off`, or a time from 4s to 90days such as 24h",
            );
        }
        dedup_window
    }
}
