//! The plans by the names that the flag takes.
//!
//! Owns the names and their help. Must never set a limit: the library has those.

use clap::ValueEnum;
use rolekeeper_sandbox::tenant::RatePlan;

/// The plans whose limits the tenant knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Plan {
    /// No limit, no headers
    Unlimited,
    /// 2 at once, 2 a second
    Free,
    /// Essentials and Professional: limits for reads, writes, deletes and logs
    SelfService,
    /// Enterprise, production: 50 at once, 16 a second
    Enterprise,
    /// Enterprise, not production: 10 at once, 2 a second
    EnterpriseNonprod,
}

impl From<Plan> for RatePlan {
    fn from(plan: Plan) -> Self {
        match plan {
            Plan::Unlimited => Self::Unlimited,
            Plan::Free => Self::FREE,
            Plan::SelfService => Self::SELF_SERVICE,
            Plan::Enterprise => Self::ENTERPRISE,
            Plan::EnterpriseNonprod => Self::ENTERPRISE_NONPROD,
        }
    }
}
