//! Limits that a worker tightens by its own settings.
//!
//! Owns which setting tightens which limit. Must never give a value to a limit that is not set: the limits of all workers
//! are in Postgres.

use clap::Args;

use super::auth0::Auth0Args;
use super::check::Check;
use rolekeeper_domain::limits::{Limit, Own};

/// Changes that may happen before the brake engages, where a setting is tighter than `rolekeeper limits` shows.
#[derive(Args, Clone, Debug)]
pub struct BrakeArgs {
    /// Users who may lose a role inside the window, whatever the number of holders, 0 to 1000000000; can only tighten `limits`
    #[arg(long, env = "BRAKE_REVOKES")]
    pub brake_revokes: Option<String>,
    /// Share of the holders who may lose a role inside the window, 0 to 1; can only tighten `limits`
    #[arg(long, env = "BRAKE_REVOKES_SHARE")]
    pub brake_revokes_share: Option<String>,
    /// Users who may get a role inside the window, whatever the number of holders, 0 to 1000000000; can only tighten `limits`
    #[arg(long, env = "BRAKE_GRANTS")]
    pub brake_grants: Option<String>,
    /// Users who may get a role inside the window, as a share of the holders, 0 to 1; can only tighten `limits`
    #[arg(long, env = "BRAKE_GRANTS_SHARE")]
    pub brake_grants_share: Option<String>,
    /// Seconds for which a change counts towards the brake, 1 to 604800; can only tighten `limits`
    #[arg(long, env = "BRAKE_WINDOW_S")]
    pub brake_window_s: Option<String>,
}

impl BrakeArgs {
    pub(super) fn own(&self, auth0: &Auth0Args, check: &mut Check) -> Own {
        let settings = [
            (Limit::Writes, "AUTH0_WRITES", auth0.auth0_writes.as_deref()),
            (Limit::Reserve, "AUTH0_RESERVE", auth0.auth0_reserve.as_deref()),
            (
                Limit::BrakeRevokes,
                "BRAKE_REVOKES",
                self.brake_revokes.as_deref(),
            ),
            (
                Limit::BrakeRevokesShare,
                "BRAKE_REVOKES_SHARE",
                self.brake_revokes_share.as_deref(),
            ),
            (Limit::BrakeGrants, "BRAKE_GRANTS", self.brake_grants.as_deref()),
            (
                Limit::BrakeGrantsShare,
                "BRAKE_GRANTS_SHARE",
                self.brake_grants_share.as_deref(),
            ),
            (
                Limit::BrakeWindowS,
                "BRAKE_WINDOW_S",
                self.brake_window_s.as_deref(),
            ),
        ];
        let set = settings.into_iter().filter_map(|(limit, setting, value)| {
            let value = value.filter(|value| !value.trim().is_empty())?;
            let parsed = limit.parse(value);
            let read = parsed.inspect_err(|expected| check.fault(setting, value, expected));
            Some((limit, read.ok()?))
        });
        set.collect()
    }
}
