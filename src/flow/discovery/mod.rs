//! Finds all users at Auth0 who hold a managed role, for `rolekeeper discover`.
//!
//! Owns the run: by searches, or by a users export job where searches do not reach all. A found user is stored as an unadopted
//! holder, whose profile the worker reads later like any other. Must never write at Auth0, nor adopt a holder; and never use the
//! share of the rate limit that the worker needs.

pub(super) mod calls;
mod error;
mod export;
mod judge;
pub(super) mod progress;
mod search;

use std::sync::Arc;
use std::time::Duration;

use crate::auth0::{Client, Exporter, Reader};
use crate::store::discovery::Discovery;
use crate::store::{Lock, LockGuard, Store};
use calls::Calls;
pub use error::DiscoveryError;
use progress::Report;
use rolekeeper_domain::act::Act;
use rolekeeper_domain::pacer::RatePlan;
use rolekeeper_domain::rule::Rules;

/// Longest interruption after which a run continues. A role that another client gives to a user who is read already arrives with
/// the tenant's log, which the smallest plan keeps for a day.
const CONTINUED_WITHIN: Duration = Duration::from_hours(24);

/// The settings of a run.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// Begin again, although the last run is not complete.
    pub again: bool,
    /// Use a users export job, and no searches.
    pub export: bool,
    /// Takes each line about the progress.
    pub report: fn(&str),
}

/// Finds holders.
pub struct Discover {
    store: Store,
    reader: Reader,
    exporter: Exporter,
    plan: RatePlan,
}

/// The parts of one run.
struct Run {
    store: Store,
    reader: Reader,
    exporter: Exporter,
    calls: Calls,
    rules: Arc<Rules>,
    report: Report,
    lock: LockGuard,
}

impl Discover {
    /// Returns it; nothing runs yet.
    #[must_use]
    pub fn new(store: Store, client: &Client, plan: RatePlan) -> Self {
        Self {
            store,
            reader: Reader::new(client),
            exporter: Exporter::new(client),
            plan,
        }
    }

    /// Continues the last run if it is not complete, or else begins one; returns the result. `own_reserve`: the share of the rate
    /// limit that the settings leave to other clients.
    ///
    /// # Errors
    /// The run could not begin or continue. What is found so far is stored: the next run continues.
    pub async fn run(
        self,
        own_reserve: Option<f64>,
        mode: Mode,
        act: &Act,
    ) -> Result<Discovery, DiscoveryError> {
        let Self {
            store,
            reader,
            exporter,
            plan,
        } = self;
        let lock = store.try_lock(Lock::Discover).await?;
        let lock = lock.ok_or(DiscoveryError::Running)?;
        let in_force = store.rules_in_force().await?.ok_or(DiscoveryError::NoRules)?;
        reader.authorize().await?;
        store.bind_tenant(&reader.tenant()).await?;
        let report = Report::new(mode.report);
        let mut run = Run {
            calls: Calls::beside_the_worker(&store, plan, own_reserve, report.clone()).await?,
            rules: Arc::new(in_force.rules),
            store,
            reader,
            exporter,
            report,
            lock,
        };
        run.finish(mode, act).await
    }
}

impl Run {
    async fn finish(&mut self, mode: Mode, act: &Act) -> Result<Discovery, DiscoveryError> {
        let begun = self.begin(mode, act).await?;
        if !begun.exports
            && let Some(why) = self.search(begun).await?
        {
            self.report
                .line(&format!("{why}; all users are exported instead"));
            self.lock.check().await?;
            self.store.discover_by_export(None).await?;
        }
        let now = self.last().await?;
        if now.exports {
            self.export(now).await?;
        }
        self.store.end_discovery(act).await?;
        self.last().await
    }

    /// Returns the run to continue, or a new one.
    async fn begin(&mut self, mode: Mode, act: &Act) -> Result<Discovery, DiscoveryError> {
        let rules = Arc::clone(&self.rules);
        let roles: Vec<&str> = rules.as_slice().iter().map(|rule| rule.role.as_str()).collect();
        let last = self.store.discovery().await?;
        let same = |last: &Discovery| {
            last.roles.len() == roles.len() && last.roles.iter().all(|one| roles.contains(&one.role.as_str()))
        };
        let open = last.filter(|last| last.done_at.is_none() && !mode.again && same(last));
        match open {
            Some(open) if open.idle > CONTINUED_WITHIN => self.report.line(&format!(
                "the last run was interrupted {} hours ago, so this one begins again",
                open.idle.as_secs() / 3_600
            )),
            Some(open) if open.exports || !mode.export => {
                let found: i64 = open.roles.iter().map(|role| role.found.all()).sum();
                self.report.line(&format!(
                    "continuing the last run, which has found {found} so far"
                ));
                return Ok(open);
            }
            _ => {}
        }
        self.store.begin_discovery(&roles, mode.export, act).await?;
        self.last().await
    }

    async fn last(&self) -> Result<Discovery, DiscoveryError> {
        self.store.discovery().await?.ok_or(DiscoveryError::Restarted)
    }
}
