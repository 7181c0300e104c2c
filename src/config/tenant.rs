//! The tenant's name in its own log.
//!
//! Owns this setting, and its default. Must never take the name from a custom domain, which does not contain it.

use clap::Args;

use super::auth0::Auth0Args;
use super::check::Check;
use rolekeeper_domain::tenant::TenantName;

/// The setting of the tenant's name.
#[derive(Args, Clone, Debug)]
pub struct TenantArgs {
    /// The tenant's name in log records (`tenant_name`), where `AUTH0_DOMAIN` is a custom domain; records of another tenant
    /// are dropped [default: the first label of `AUTH0_DOMAIN` under auth0.com]
    #[arg(long, env = "AUTH0_TENANT_NAME")]
    pub auth0_tenant_name: Option<String>,
}

/// The tenant that the settings name.
#[derive(Clone, Debug)]
pub struct TenantConfig {
    /// Its domain, canonical or custom.
    pub domain: String,
    /// The audience of its Management API, where it is set.
    pub audience: Option<String>,
}

impl TenantConfig {
    /// Returns the tenant; none where no domain is set.
    pub(super) fn check(auth0: &Auth0Args, check: &mut Check) -> Option<Self> {
        let is_set = auth0
            .auth0_domain
            .as_deref()
            .is_some_and(|domain| !domain.trim().is_empty());
        is_set.then(|| Self {
            domain: auth0.domain(check),
            audience: auth0.auth0_audience.clone(),
        })
    }
}

impl TenantArgs {
    /// Returns the name, if it is known.
    pub(super) fn check(&self, auth0: &Auth0Args, check: &mut Check) -> Option<TenantName> {
        let set = self.auth0_tenant_name.as_deref().map(str::trim);
        let Some(set) = set.filter(|name| !name.is_empty()) else {
            return TenantName::of_domain(auth0.auth0_domain.as_deref()?.trim());
        };
        let name = TenantName::parse(set);
        if name.is_none() {
            check.fault(
                "AUTH0_TENANT_NAME",
                set,
                "the name of a tenant, such as music-dev",
            );
        }
        name
    }
}
