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
mod commit;
mod dedup;
mod increments;
mod key_cache;
mod leadership;
mod lives;
mod loss;
mod other_tenant;
mod prefetch;
mod progress;
pub mod promoted;
mod sequence_check;
mod trim;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::retry_loop::RetryLoop;
use crate::bus::{APP_EVENTS, AUTH0_LOGS, Bus, Message, ReadError};
use crate::config::TrimConfig;
use crate::lifecycle::Readiness;
use crate::metrics::{Metrics, Stream};
use crate::store::{CHECK_EVERY, DeadLetter, Lock, Store};
use leadership::{Leadership, LeadershipEnd, LeadershipError};
pub use other_tenant::OtherTenant;
use progress::Progress;
use rolekeeper_domain::event::{Reason, Reject};
use rolekeeper_domain::horizon::Horizon;
use rolekeeper_domain::rule::Rules;
use rolekeeper_domain::tenant::TenantName;
use watch::Pulse;

/// Interval at which a standby tries to take the lock: a takeover takes this long at most after a clean exit.
const STANDBY_POLL: Duration = Duration::from_millis(500);
/// Longest duration of one transaction; past it the connection is taken for dead.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(90);
/// Interval at which a stopped fold checks whether its loss was accepted, and at which other rules are checked.
const STOPPED_POLL: Duration = Duration::from_secs(2);

/// The stream that is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Plays and playlists.
    AppEvents,
    /// The tenant's log.
    Auth0Logs,
}

impl Source {
    /// Name of the stream.
    #[must_use]
    pub fn stream(self) -> &'static str {
        match self {
            Self::AppEvents => APP_EVENTS,
            Self::Auth0Logs => AUTH0_LOGS,
        }
    }

    /// Name of the stage.
    #[must_use]
    pub fn stage(self) -> &'static str {
        match self {
            Self::AppEvents => "fold_app_events",
            Self::Auth0Logs => "fold_auth0_logs",
        }
    }

    fn lock(self) -> Lock {
        match self {
            Self::AppEvents => Lock::FoldAppEvents,
            Self::Auth0Logs => Lock::FoldAuth0Logs,
        }
    }
}

/// The fold of one stream.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The stream to fold.
    pub source: Source,
    /// Where facts are stored.
    pub store: Store,
    /// Connection for queries about the stream.
    pub bus: Bus,
    /// Connection for deliveries, of this fold alone since a message may end it.
    pub deliveries: Bus,
    /// Id of this process, to count the processes that ended while they folded one message.
    pub process: Uuid,
    /// Held by the fold of this process that searches for the message which ends processes: one at a time.
    pub search: Arc<Mutex<()>>,
    /// Metrics of this worker.
    pub metrics: Arc<Metrics>,
    /// Readiness of the stage.
    pub readiness: Readiness,
    /// The rules this worker knows; they may change while it runs.
    pub rules: tokio::sync::watch::Receiver<Arc<Rules>>,
    /// Most messages in one transaction.
    pub batch: usize,
    /// How long ids of app events are remembered, if at all.
    pub dedup_horizon: Option<Horizon>,
    /// How long folded messages stay in the stream.
    pub trim: TrimConfig,
    /// Our own client id at Auth0, where it is known.
    pub own_client_id: Option<String>,
    /// The tenant's name in its records, where it is known.
    pub tenant: Option<TenantName>,
    /// Counts records of other tenants.
    pub other_tenant: Arc<OtherTenant>,
}

/// The effects of one transaction, counted once it is committed.
#[derive(Debug, Default)]
struct Done {
    messages: u64,
    /// Messages dropped because they name an erased person.
    erased: u64,
    /// Messages dropped because they were counted before.
    repeats: u64,
    /// Playlists that a retraction left below 0.
    below_zero: u64,
    /// For each record of the tenant's log, whether it was dropped because it names another tenant.
    other_tenant: Vec<bool>,
    rejected: Vec<Reason>,
}

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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stream())
    }
}

/// Unix nanoseconds as a date; a time outside the calendar is clamped to 1970.
fn at(unix_ns: i64) -> OffsetDateTime {
    rolekeeper_domain::date::of_unix_ns(unix_ns)
}

/// The dead letter of a message that could not be read.
fn dead_letter<'m>(message: &'m Message, reject: &Reject) -> DeadLetter<'m> {
    DeadLetter {
        seq: message.seq.cast_signed(),
        subject: message.subject(),
        reason: reject.reason,
        detail: reject.detail.clone(),
        payload: message.payload(),
        size: message.size(),
        stored_ns: message.stored_ns,
    }
}
