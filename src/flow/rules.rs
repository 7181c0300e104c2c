//! Keeps the worker under the rules and limits in force, which are those of Postgres.
//!
//! Owns reading them, the offer of this worker's rules file, and its signs of life. Must never let a file decide which
//! rules this worker uses, nor stop its work: a file that is broken, older or different from the rules in force is
//! reported and left alone.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::limits::LimitsKeeper;
use super::rules_file::RulesFile;
use crate::lifecycle::{Readiness, process_name};
use crate::metrics::Metrics;
use crate::store::{Channel, OfferedBy, Store, StoreError, Worker};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::limits::Own;
use rolekeeper_domain::rule::offer::{self, Verdict};
use rolekeeper_domain::rule::{Rules, Versioned};

/// Interval at which the file is read, and Postgres queried without a notification. The file is small, and reading
/// detects changes that a watch on a mounted volume may miss.
const READ_EVERY: Duration = Duration::from_secs(2);
/// Interval of this worker's signs of life.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// Longest wait to record that this worker ends.
const END_WITHIN: Duration = Duration::from_secs(2);
const STAGE: &str = "rules";

/// The reason why there are no rules in force.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Postgres does not respond, or has rules of a format that this release does not know.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The very first start, with a file that cannot be used.
    #[error(
        "RULES_FILE cannot be used, and no rules are in force yet: {0}. Fix the file, or start without it to work under the \
         built-in rule"
    )]
    NoRules(String),
}

impl RulesError {
    /// The text for `/readyz`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Store(why) => why.shown(),
            Self::NoRules(_) => {
                "RULES_FILE cannot be used, and no rules are in force yet; the log has the reason".to_owned()
            }
        }
    }
}

/// Keeps one worker under the rules in force.
#[derive(Debug)]
pub struct RulesKeeper {
    /// This worker's rules file, if it has one.
    pub file: Option<RulesFile>,
    /// Roles that no file may name.
    pub forbidden: ForbiddenRoles,
    /// This worker, as the other workers see it.
    pub worker: Worker,
    /// Where the rules and limits in force are stored.
    pub store: Store,
    /// Shows the rules in force, and a file that was refused.
    pub metrics: Arc<Metrics>,
    /// Passes the rules to the stages.
    pub rules: watch::Sender<Arc<Rules>>,
    /// Reads the limits, beside the rules.
    pub limits: LimitsKeeper,
    /// Readiness of the stage.
    pub readiness: Readiness,
    /// The last logged state of the file.
    pub said: Option<String>,
}

impl RulesKeeper {
    /// Offers the file, and reads the rules and limits in force.
    ///
    /// # Errors
    /// There are no rules in force.
    pub async fn first(&mut self) -> Result<(), RulesError> {
        self.store.heartbeat(&self.worker).await?;
        self.read().await?;
        self.limits.read().await?;
        Ok(())
    }

    /// Reads rules and limits on notifications and on a timer, independently, until the stop is requested.
    ///
    /// # Errors
    /// None: every failure is retried, and meanwhile the last rules hold.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        let (store, worker, limits) = (self.store.clone(), self.worker.clone(), self.limits.clone());
        let hints = [Notify::new(), Notify::new()];
        tokio::select! {
            () = stop.cancelled() => {}
            never = listen(&store, &hints) => match never {},
            never = live(&store, &worker) => match never {},
            never = limits.run(&hints[0]) => match never {},
            never = self.keep(&hints[1]) => match never {},
        }
        // Without this the worker would count as alive for another half minute.
        let _ = tokio::time::timeout(END_WITHIN, store.worker_ends(worker.id)).await;
        Ok(())
    }

    async fn keep(&mut self, hint: &Notify) -> std::convert::Infallible {
        let mut failed = false;
        loop {
            match self.read().await {
                Ok(()) => failed = false,
                Err(why) => {
                    self.readiness.not_ready(STAGE, why.shown());
                    if failed {
                        tracing::debug!("the rules in force cannot be read: {why}");
                    } else {
                        warn!("the rules in force cannot be read: {why}");
                    }
                    failed = true;
                }
            }
            let _ = tokio::time::timeout(READ_EVERY, hint.notified()).await;
        }
    }

    async fn read(&mut self) -> Result<(), RulesError> {
        let offered = self.offered().await;
        let in_force = self.store.rules_in_force().await;
        // Rules of a format that this release does not know can still be replaced.
        let active = match &in_force {
            Ok(in_force) => in_force.as_ref().map(crate::store::InForce::to_compare),
            Err(StoreError::RulesFormat(_)) => None,
            Err(_) => return in_force.map(drop).map_err(RulesError::from),
        };
        let verdict = match (&offered, &active) {
            (Ok(None), None) if in_force.is_ok() => {
                let built_in = Versioned {
                    version: 0,
                    rules: Rules::default(),
                };
                Some(
                    self.store
                        .offer_rules(&built_in, OfferedBy::BuiltIn, None)
                        .await?,
                )
            }
            (Ok(None), _) => None,
            (Ok(Some(offered)), active) => Some(match offer::judge(offered, active.as_ref()) {
                Verdict::PutInForce => {
                    let act = Act {
                        by: format!("worker {}", self.worker.name),
                        command: "RULES_FILE",
                        arguments: json!({"version": offered.version}),
                        why: None,
                    };
                    self.store
                        .offer_rules(offered, OfferedBy::File, Some(&act))
                        .await?
                }
                other => other,
            }),
            (Err(why), None) if in_force.is_ok() => return Err(RulesError::NoRules(why.clone())),
            (Err(why), _) => Some(Verdict::Refused(format!("the file has a fault: {why}"))),
        };
        self.say(verdict.as_ref(), &offered);
        let in_force = if verdict == Some(Verdict::PutInForce) {
            self.store.rules_in_force().await
        } else {
            in_force
        };
        let in_force = in_force.inspect_err(|_| {
            // The stages end their leadership: they find the same format, report it, and stand by.
            self.rules.send_modify(|_| {});
        })?;
        if let Some(in_force) = in_force {
            self.metrics.rules.version.set(in_force.version);
            if **self.rules.borrow() != in_force.rules {
                info!(version = in_force.version, "working under the rules in force");
                self.rules.send_replace(Arc::new(in_force.rules));
            }
        }
        self.readiness.ready(STAGE, "read");
        Ok(())
    }

    /// The rules that this worker's file offers, or the fault of the file.
    async fn offered(&mut self) -> Result<Option<Versioned>, String> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        let text = file.read().await?;
        self.forbidden.parse_rules(&text).map(Some)
    }

    /// Logs what happened to the file, once for each state of it.
    fn say(&mut self, verdict: Option<&Verdict>, offered: &Result<Option<Versioned>, String>) {
        let refused = matches!(verdict, Some(Verdict::Refused(_)));
        self.metrics.rules_refused.set(i64::from(refused));
        let Some(path) = self.file.as_ref().map(|file| file.path().display()) else {
            return;
        };
        let (text, version) = match verdict {
            Some(Verdict::Refused(why) | Verdict::Left(why)) => (Some(why.clone()), 0),
            Some(Verdict::PutInForce) => {
                let version = offered.as_ref().ok().and_then(Option::as_ref);
                (None, version.map_or(0, |offered| offered.version))
            }
            _ => (None, 0),
        };
        if verdict == Some(&Verdict::PutInForce) {
            info!(file = %path, version, "the rules of RULES_FILE were put in force");
        }
        if text != self.said {
            match &text {
                Some(why) if refused => error!(
                    file = %path,
                    "RULES_FILE is refused, the rules in force stay: {why}"
                ),
                Some(why) => warn!(file = %path, "RULES_FILE: {why}"),
                None => {}
            }
            self.said = text;
        }
    }
}

/// Passes notifications on, until dropped.
async fn listen(store: &Store, hints: &[Notify]) -> std::convert::Infallible {
    loop {
        if let Ok(mut listener) = store.listen(Channel::Rules).await {
            loop {
                // The first pass covers changes from before the worker listened.
                hints.iter().for_each(Notify::notify_one);
                if listener.notified().await.is_err() {
                    break;
                }
            }
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}

/// Records signs of life of this worker, until dropped.
async fn live(store: &Store, worker: &Worker) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(HEARTBEAT_EVERY).await;
        if let Err(why) = store.heartbeat(worker).await {
            tracing::debug!("the sign of life was not recorded: {why}");
        }
        // The worker that reconciles sums them all the time; without one they would only grow.
        while let Ok(1..) = store.sum_left_counters().await {}
    }
}

/// This process, as the other workers see it.
#[must_use]
pub fn this_worker(own: Own) -> Worker {
    Worker {
        id: uuid::Uuid::now_v7(),
        name: process_name(),
        release: env!("CARGO_PKG_VERSION"),
        rules_format: rolekeeper_domain::rule::FORMAT,
        own,
    }
}
