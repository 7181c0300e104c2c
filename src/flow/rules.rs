//! Takes a changed rules file over while the worker runs.
//!
//! Owns the watch on the file. Must never put a bad file in force, nor let a good one wait for a restart. The
//! rules that were read last win: a worker that finds other rules in force than its own stands back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::domain::forbidden::ForbiddenRoles;
use crate::domain::rule::Rules;
use crate::metrics::Metrics;
use crate::store::{InForce, Store};

/// How often the file is read. It is small, and reading sees what a watch on a mounted volume may not.
const READ_EVERY: Duration = Duration::from_secs(2);

/// Watches one rules file.
#[derive(Debug)]
pub struct RulesFile {
    /// The file.
    pub path: PathBuf,
    /// Where rules are put in force.
    pub store: Store,
    /// Shows a file that was refused.
    pub metrics: Arc<Metrics>,
    /// Roles that no file may name.
    pub forbidden: ForbiddenRoles,
    /// False in shadow mode.
    pub writes: bool,
    /// Tells the stages.
    pub rules: watch::Sender<Arc<Rules>>,
}

impl RulesFile {
    /// Watches until told to stop.
    ///
    /// # Errors
    /// None: a bad file is refused and the old rules go on.
    pub async fn run(self, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        let mut refused = String::new();
        loop {
            if stop
                .run_until_cancelled(tokio::time::sleep(READ_EVERY))
                .await
                .is_none()
            {
                return Ok(());
            }
            let read = tokio::fs::read_to_string(&self.path)
                .await
                .map_err(|error| error.to_string());
            match read.and_then(|text| self.forbidden.parse_rules(&text)) {
                Ok(rules) => {
                    refused.clear();
                    self.metrics.rules_refused.set(0);
                    self.take_over(rules).await;
                }
                Err(why) => {
                    if refused != why {
                        error!(file = %self.path.display(), "the changed rules file is refused, the old rules stay in force: {why}");
                    }
                    refused = why;
                    self.metrics.rules_refused.set(1);
                }
            }
        }
    }

    async fn take_over(&self, rules: Rules) {
        if **self.rules.borrow() == rules {
            return;
        }
        match self.store.put_rules_in_force(&rules, self.writes).await {
            Ok(in_force) => {
                if let InForce::TakenOver(users) = in_force {
                    info!(
                        users,
                        "the changed rules are in force; users they affect were nominated"
                    );
                }
                self.rules.send_replace(Arc::new(rules));
            }
            // The next reading tries again.
            Err(why) => warn!("the changed rules cannot be put in force yet: {why}"),
        }
    }
}
