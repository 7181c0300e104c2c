//! Folds a stream into Postgres, each message exactly once.
//!
//! Owns the way of the cursor: lock, start behind the cursor, check every delivery, commit facts and cursor in one
//! transaction. Any failure ends the leadership, and the next one starts at the cursor in Postgres. Must never skip a
//! message without a report: a message that cannot be read or written becomes a dead letter, and a lost message stops
//! the fold until the operator accepts the loss.

mod affected_users;
mod alone;
mod app_events;
mod auth0_logs;
mod bases;
mod commit;
mod dead_letter;
mod dedup;
mod done;
pub mod import;
mod increments;
mod key_cache;
mod leadership;
mod loss;
mod other_tenant;
mod playlist_lifecycles;
mod prefetch;
mod progress;
pub mod promoted;
mod replaced;
pub mod requeue;
mod run;
mod source;
mod stage;
mod trim;
mod watch;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::retry_loop::RetryLoop;
use crate::bus::ReadError;
use crate::metrics::Stream;
use leadership::{Leadership, LeadershipEnd, LeadershipError, STOPPED_POLL};
pub use other_tenant::OtherTenant;
use progress::Progress;
pub use source::Source;
pub use stage::Fold;
use watch::Pulse;

/// Interval at which a standby tries to take the lock: a takeover takes this long at most after a clean exit.
const STANDBY_POLL: Duration = Duration::from_millis(500);

impl Fold {
    /// Folds until the stop is requested.
    ///
    /// # Errors
    /// None: every failure is retried.
    pub async fn run(self, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        let (pulse, stage) = (Pulse::default(), self.source.stage());
        self.readiness.not_ready(stage, "starting");
        tokio::join!(self.lead(&pulse, &stop), self.watch(&pulse, &stop));
        Ok(())
    }

    /// Runs one leadership after the other.
    async fn lead(&self, pulse: &Pulse, stop: &CancellationToken) {
        let mut retry = RetryLoop::new(self.source.stage());
        let mut progress = Progress::new(self.batch);
        if self.source == Source::Auth0Logs {
            OtherTenant::begin(self.tenant.as_ref());
        }
        while !stop.is_cancelled() {
            let ended = Leadership::new(self, pulse)
                .run(&mut progress, &mut retry, stop)
                .await;
            self.metrics.fold_active.of(Stream(self.source.stream())).set(0);
            let pause = match ended {
                Ok(LeadershipEnd::Stopping) => break,
                Ok(LeadershipEnd::Standby) => {
                    self.forget_lag(pulse);
                    STANDBY_POLL
                }
                Ok(LeadershipEnd::Stopped) => STOPPED_POLL,
                Ok(LeadershipEnd::OtherRules) => Duration::ZERO,
                Err(LeadershipError::Read(why)) => {
                    self.reader_ended(&why, &mut progress, &mut retry, stop).await;
                    Duration::ZERO
                }
                Err(LeadershipError::Smaller(why)) => {
                    let messages = progress.batch();
                    info!(
                        stream = self.source.stream(),
                        "Postgres refused a batch: {why}; retrying with {messages} messages at most"
                    );
                    Duration::ZERO
                }
                Err(why) => {
                    progress.failed();
                    self.readiness.not_ready(self.source.stage(), why.shown());
                    retry.wait(&why, stop).await;
                    Duration::ZERO
                }
            };
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        self.forget_lag(pulse);
    }

    /// Handles the end of a reader. It is ordinary where messages were folded before: the server restarted, or a
    /// delivery was missed. Otherwise the next reader may end in the same way, and the delay grows each time.
    async fn reader_ended(
        &self,
        why: &ReadError,
        progress: &mut Progress,
        retry: &mut RetryLoop,
        stop: &CancellationToken,
    ) {
        let stream = self.source.stream();
        info!(stream, "{why}; restarting after the cursor");
        self.metrics.reader_restarts.of(Stream(stream)).inc();
        if let ReadError::BatchTooLarge(most) = why {
            progress.limit_pull(*most);
        }
        if progress.idle_ends() > 1 {
            progress.failed();
            self.readiness
                .not_ready(self.source.stage(), format!("reading: {}", why.shown()));
        }
        if progress.idle_ends() > 0 {
            retry.wait(why, stop).await;
        }
    }
}
