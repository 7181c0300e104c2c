//! The rate limits of Auth0's plans.
//!
//! Owns their numbers and their names in the configuration. Must never hold a value from a tenant's headers.

use std::fmt;
use std::str::FromStr;

/// Largest burst of a plan.
const MAX_BURST: f64 = 100_000.0;
/// Largest limit taken from a header, if the plan has no larger burst: ten times the largest public plan.
pub(super) const MAX_HEADER_LIMIT: f64 = 500.0;
/// Slowest and fastest rate used, in calls per second, so that every wait is finite and not zero.
pub(super) const MIN_RATE: f64 = 0.1;
pub(super) const MAX_RATE: f64 = 10_000.0;

/// The tenant's limits on the users endpoints (Auth0 docs, rate-limit-configurations). Parsed from a name or from
/// `BURST:PER_SECOND`, as [`Self::EXPECTED`] says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RatePlan {
    /// 2 calls at once, 2 per second.
    Free,
    /// Essentials and Professional: reads 40 at once and 500 per minute, writes 20 at once and 200 per minute.
    SelfService,
    /// Production on the public cloud: 50 at once, 16 per second.
    Enterprise,
    /// All but production on the public cloud: 10 at once, 2 per second.
    EnterpriseNonProd,
    /// A private cloud for development: 20 at once, 20 per second.
    PrivateCloudDev,
    /// The smallest private cloud for production: 50 at once, 50 per second.
    PrivateCloud1x,
    /// One bucket for all calls, as in a larger private cloud.
    Custom {
        /// Calls at once.
        burst: u32,
        /// Calls per second.
        per_second: f64,
    },
}

/// Each plan by name; the first name of a plan is the one that is shown.
const NAMED: [(&str, RatePlan); 8] = [
    ("free", RatePlan::Free),
    ("self-service", RatePlan::SelfService),
    ("essentials", RatePlan::SelfService),
    ("professional", RatePlan::SelfService),
    ("enterprise", RatePlan::Enterprise),
    ("enterprise-nonprod", RatePlan::EnterpriseNonProd),
    ("private-cloud-dev", RatePlan::PrivateCloudDev),
    ("private-cloud-1x", RatePlan::PrivateCloud1x),
];

impl RatePlan {
    /// The accepted texts.
    pub const EXPECTED: &str = "free, self-service (also essentials, professional), enterprise, enterprise-nonprod, \
                                private-cloud-dev, private-cloud-1x, or BURST:PER_SECOND such as 50:16 (BURST from 2 \
                                to 100000, PER_SECOND from 0.1 to 10000)";

    /// Whether reading the tenant's log has a separate bucket from that of users.
    #[must_use]
    pub fn has_bucket_for_logs(self) -> bool {
        self == Self::SelfService
    }

    /// The plan for a client that only reads: one bucket, that of reads.
    #[must_use]
    pub fn of_reads(self) -> Self {
        match self {
            Self::SelfService => Self::Custom {
                burst: 40,
                per_second: 500.0 / 60.0,
            },
            other => other,
        }
    }

    /// Reads per second.
    #[must_use]
    pub fn reads_per_second(self) -> f64 {
        self.buckets().0.1
    }

    /// Attempts per second, each of a read and a write.
    #[must_use]
    pub fn attempts_per_second(self) -> f64 {
        match self.buckets() {
            (all, None) => all.1 / 2.0,
            (reads, Some(writes)) => reads.1.min(writes.1),
        }
    }

    /// Burst and calls per second: of all calls, or of reads and of writes.
    pub(super) fn buckets(self) -> ((f64, f64), Option<(f64, f64)>) {
        match self {
            Self::Free => ((2.0, 2.0), None),
            Self::SelfService => ((40.0, 500.0 / 60.0), Some((20.0, 200.0 / 60.0))),
            Self::Enterprise => ((50.0, 16.0), None),
            Self::EnterpriseNonProd => ((10.0, 2.0), None),
            Self::PrivateCloudDev => ((20.0, 20.0), None),
            Self::PrivateCloud1x => ((50.0, 50.0), None),
            Self::Custom { burst, per_second } => ((f64::from(burst), per_second), None),
        }
    }
}

impl FromStr for RatePlan {
    type Err = &'static str;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        if let Some((_, plan)) = NAMED.iter().find(|(name, _)| *name == raw) {
            return Ok(*plan);
        }
        let custom = raw.split_once(':').and_then(|(burst, per_second)| {
            let (burst, per_second) = (burst.parse().ok()?, per_second.parse().ok()?);
            // One attempt is two calls; the other bounds are the range of the pacer.
            let usable =
                (2.0..=MAX_BURST).contains(&f64::from(burst)) && (MIN_RATE..=MAX_RATE).contains(&per_second);
            usable.then_some(Self::Custom { burst, per_second })
        });
        custom.ok_or(Self::EXPECTED)
    }
}

impl fmt::Display for RatePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, NAMED.iter().find(|(_, plan)| plan == self)) {
            (Self::Custom { burst, per_second }, _) => write!(f, "{burst}:{per_second}"),
            (_, named) => f.write_str(named.map_or("", |(name, _)| name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_plan_has_a_name_that_is_read_back() {
        for (name, plan) in NAMED {
            assert_eq!(name.parse(), Ok(plan), "{name}");
            assert_eq!(plan.to_string().parse(), Ok(plan), "{name}");
            assert!(RatePlan::EXPECTED.contains(name), "{name}");
        }
    }

    #[test]
    fn any_burst_and_rate_within_the_named_bounds_is_a_plan() {
        for (raw, burst, per_second) in [
            ("2:0.1", 2, 0.1),
            ("1000:1000", 1_000, 1_000.0),
            ("100000:10000", 100_000, 10_000.0),
        ] {
            let plan = raw.parse::<RatePlan>();
            assert_eq!(plan, Ok(RatePlan::Custom { burst, per_second }), "{raw}");
            assert_eq!(plan.unwrap().to_string(), raw);
        }
        for raw in [
            "", "gold", "Free", "1:1", "100001:1", "2:0.09", "2:10001", "2:NaN", "2:inf", "2", "2:", ":2",
            "50:", "2:2:2", "-2:2", "2.5:2",
        ] {
            let why = raw.parse::<RatePlan>().unwrap_err();
            assert!(
                why.contains("BURST from 2 to 100000, PER_SECOND from 0.1 to 10000"),
                "{raw}: {why}"
            );
        }
    }
}
