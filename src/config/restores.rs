//! Settings of restores of other clients' roles, and of roles that are never added.
//!
//! Owns these settings.

use clap::Args;

use super::check::Check;
use rolekeeper_domain::brake::Limits;
use rolekeeper_domain::forbidden::ForbiddenRoles;

/// The setting of the roles that are never added.
#[derive(Args, Clone, Debug)]
pub struct ForbiddenArgs {
    /// Roles that are never added to a user, by no rule and no restore, separated by commas; upper and lower case are the
    /// same. `none` forbids nothing
    #[arg(long, env = "FORBIDDEN_ROLES", default_value = rolekeeper_domain::forbidden::DEFAULT)]
    pub forbidden_roles: String,
}

impl ForbiddenArgs {
    /// Returns the roles; every text is valid.
    #[must_use]
    pub fn roles(&self) -> ForbiddenRoles {
        ForbiddenRoles::parse(&self.forbidden_roles)
    }
}

/// Settings of restores of other clients' roles, and of roles that are never added.
#[derive(Args, Clone, Debug)]
pub struct RestoreArgs {
    /// Roles that are never added.
    #[command(flatten)]
    pub forbidden: ForbiddenArgs,
    /// Users whose roles of other clients may be restored inside the window (`BRAKE_WINDOW_S`), 0 to 1000000000; more are held
    #[arg(long, env = "BRAKE_RESTORES", default_value = "10")]
    pub brake_restores: String,
}

/// Checked settings of restores and of roles that are never added.
#[derive(Clone, Debug)]
pub struct RestoreConfig {
    /// Roles that are never added.
    pub forbidden: ForbiddenRoles,
    /// Users whose roles may be restored inside the window; no share applies.
    pub brake: Limits,
}

impl RestoreArgs {
    pub(super) fn check(&self, check: &mut Check) -> RestoreConfig {
        let number = match self.brake_restores.trim() {
            "" => 10,
            text => check.number("BRAKE_RESTORES", text, &(0..=1_000_000_000)),
        };
        RestoreConfig {
            forbidden: self.forbidden.roles(),
            brake: Limits { number, share: 0.0 },
        }
    }
}
