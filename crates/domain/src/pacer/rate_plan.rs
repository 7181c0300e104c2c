//! The rate limits of Auth0's plans.
//!
//! Owns their numbers and their names in the configuration. Must never hold a value from a tenant's headers.

use std::fmt;
use std::str::FromStr;

/// Largest accepted limit, also from a header; ten times the largest public plan.
pub(super) const MAX_LIMIT: f64 = 500.0;
/// Slowest and fastest rate used, in calls per second, so that every wait is finite and not zero.
pub(super) const MIN_RATE: f64 = 0.1;
pub(super) const MAX_RATE: f64 = 10_000.0;

/// The tenant's limits on the users endpoints (Auth0 docs, rate-limit-configurations). Parsed from `free`,
/// `self-service`, `enterprise`, `enterprise-nonprod` or `BURST:PER_SECOND`.
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
    /// One bucket for all calls, as in a private cloud.
    Custom {
        /// Calls at once.
        burst: u32,
        /// Calls per second.
        per_second: f64,
    },
}

impl RatePlan {
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

    /// Burst and calls per second: of all calls, or of reads and of writes.
    pub(super) fn buckets(self) -> ((f64, f64), Option<(f64, f64)>) {
        match self {
            Self::Free => ((2.0, 2.0), None),
            Self::SelfService => ((40.0, 500.0 / 60.0), Some((20.0, 200.0 / 60.0))),
            Self::Enterprise => ((50.0, 16.0), None),
            Self::EnterpriseNonProd => ((10.0, 2.0), None),
            Self::Custom { burst, per_second } => ((f64::from(burst), per_second), None),
        }
    }
}

impl FromStr for RatePlan {
    type Err = &'static str;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected free, self-service, enterprise, enterprise-nonprod, or BURST:PER_SECOND such as \
                                50:50 (BURST from 2 to 500, PER_SECOND from 0.1 to 10000)";
        match raw {
            "free" => Ok(Self::Free),
            "self-service" => Ok(Self::SelfService),
            "enterprise" => Ok(Self::Enterprise),
            "enterprise-nonprod" => Ok(Self::EnterpriseNonProd),
            custom => {
                let (burst, per_second) = custom.split_once(':').ok_or(EXPECTED)?;
                let burst: u32 = burst.parse().map_err(|_| EXPECTED)?;
                let per_second: f64 = per_second.parse().map_err(|_| EXPECTED)?;
                // One attempt is two calls; the other bounds are the range of the pacer.
                let usable = (2.0..=MAX_LIMIT).contains(&f64::from(burst))
                    && (MIN_RATE..=MAX_RATE).contains(&per_second);
                if usable {
                    Ok(Self::Custom { burst, per_second })
                } else {
                    Err(EXPECTED)
                }
            }
        }
    }
}

impl fmt::Display for RatePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::SelfService => f.write_str("self-service"),
            Self::Enterprise => f.write_str("enterprise"),
            Self::EnterpriseNonProd => f.write_str("enterprise-nonprod"),
            Self::Custom { burst, per_second } => write!(f, "{burst}:{per_second}"),
        }
    }
}
