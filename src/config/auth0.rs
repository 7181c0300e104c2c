//! Settings of the calls to Auth0.
//!
//! Owns the tenant's domain, the application and its credential, the plan and the time of a call. Must never show a secret.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::check::Check;
use super::credential::{ClientCredential, CredentialArgs};
use rolekeeper_domain::limits::Limit;
use rolekeeper_domain::pacer::RatePlan;

/// Settings of the calls to Auth0, and their limits.
#[derive(Args, Clone, Debug)]
pub struct Auth0Args {
    /// The tenant's canonical domain, such as music.eu.auth0.com
    #[arg(long, env = "AUTH0_DOMAIN")]
    pub auth0_domain: Option<String>,
    /// Audience of the Management API [default: `https://AUTH0_DOMAIN/api/v2/`]
    #[arg(long, env = "AUTH0_AUDIENCE")]
    pub auth0_audience: Option<String>,
    /// Client id of the machine-to-machine application
    #[arg(long, env = "AUTH0_CLIENT_ID")]
    pub auth0_client_id: Option<String>,
    /// The application's credential.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// A file of certificate authorities (PEM) to trust besides the system's
    #[arg(long, env = "AUTH0_CA_FILE")]
    pub auth0_ca_file: Option<String>,
    /// `off` for shadow mode: decide and audit, write nothing; `on` writes where `limits` allow it
    #[arg(long, env = "AUTH0_WRITES")]
    pub auth0_writes: Option<String>,
    /// The tenant's plan, for its rate limits: `free`, `self-service` (also `essentials`, `professional`), `enterprise`,
    /// `enterprise-nonprod`, `private-cloud-dev`, `private-cloud-1x`, or `BURST:PER_SECOND` (`BURST` from 2 to 100000,
    /// `PER_SECOND` from 0.1 to 10000)
    #[arg(long, env = "AUTH0_PLAN", default_value = "free")]
    pub auth0_plan: String,
    /// Share of the rate limit left to the tenant's other clients, 0 to 0.9; can only tighten `limits`
    #[arg(long, env = "AUTH0_RESERVE")]
    pub auth0_reserve: Option<String>,
    /// Longest time of one call, 1 to 120 seconds
    #[arg(long, env = "AUTH0_TIMEOUT_S", default_value = "10")]
    pub auth0_timeout_s: String,
}

/// Checked settings of the calls to Auth0.
#[derive(Clone, Debug)]
pub struct Auth0Config {
    /// Canonical domain of the tenant.
    pub domain: String,
    /// Audience of the Management API, where it differs from the domain's default.
    pub audience: Option<String>,
    /// Client id of the machine-to-machine application; also identifies our own records in the tenant's log.
    pub client_id: String,
    /// Credential of the application.
    pub credential: ClientCredential,
    /// Extra certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Rate limits of the tenant's Auth0 plan.
    pub plan: RatePlan,
    /// Longest time of one call.
    pub timeout: Duration,
}

/// Checks the name of a plan.
pub(super) fn plan(name: &str, check: &mut Check) -> RatePlan {
    name.parse().unwrap_or_else(|expected| {
        check.fault("AUTH0_PLAN", name, expected);
        RatePlan::Free
    })
}

impl Auth0Args {
    pub(super) fn check(&self, check: &mut Check) -> Auth0Config {
        let plan = plan(&self.auth0_plan, check);
        Auth0Config {
            domain: self.domain(check),
            audience: self.auth0_audience.clone(),
            client_id: check.text(
                "AUTH0_CLIENT_ID",
                self.auth0_client_id.as_deref(),
                "the client id of the application",
            ),
            credential: self.credential.check(check),
            ca_file: self.ca_file(check),
            plan,
            timeout: Duration::from_secs(check.number("AUTH0_TIMEOUT_S", &self.auth0_timeout_s, &(1..=120))),
        }
    }

    /// The share of the rate limit that the settings leave to other clients, where they do.
    pub(super) fn reserve(&self, check: &mut Check) -> Option<f64> {
        let text = self.auth0_reserve.as_deref().map(str::trim);
        text.filter(|text| !text.is_empty()).and_then(|text| {
            let reserve = Limit::Reserve.parse(text);
            reserve
                .map_err(|expected| check.fault("AUTH0_RESERVE", text, expected))
                .ok()
        })
    }

    pub(super) fn domain(&self, check: &mut Check) -> String {
        check.domain(
            "AUTH0_DOMAIN",
            self.auth0_domain.as_deref(),
            "a domain such as music.eu.auth0.com",
        )
    }

    pub(super) fn ca_file(&self, check: &mut Check) -> Option<PathBuf> {
        check.file(
            "AUTH0_CA_FILE",
            self.auth0_ca_file.as_deref(),
            "a file of certificate authorities (PEM)",
        )
    }
}
