//! Reads records from the tenant's log that its stream has dropped.
//!
//! Owns the checkpoint and the pace. Records take the same way as the webhook's: AUTH0_LOGS drops known ones by the
//! record's id inside its duplicate window, and a record is only a hint, so a record that is taken twice does nothing.
//! Must never delay attempts: its calls come last, its errors affect only itself, and no refusal opens the circuit
//! breaker.
//!
//! **Delay.** Only records of a certain age are taken, and the checkpoint stays before the first younger one. So the
//! stream gets to deliver first, and a record that appears late among the others (ids trail dates by up to 5.4 s,
//! measured) still lies after the checkpoint.

mod position;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt as _;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

use super::permit::{Permit, RateLimiter};
use crate::auth0::{CallError, LaterWhy, LogReader, MAX_TAKE, Page, Record, Reply};
use crate::config::GapFillerConfig;
use crate::flow::accept::Accept;
use crate::flow::backoff::base_delay;
use crate::metrics::{Call, CallResult, GapRecord, Metrics};
use crate::store::{Checkpoint, Store, StoreError};
use rolekeeper_domain::log_record::{self, Effect};
use rolekeeper_domain::pacer::CallKind;
use rolekeeper_domain::schedule::MAX_FLOOR;

/// Delay between two pages while the gap filler is behind: half of the 100 reads a minute of the smallest plan that
/// counts them separately.
const PAGE_PAUSE: Duration = Duration::from_millis(1_200);
/// Period in which due attempts go first; after it one page is read all the same.
const LAST_FOR: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// AUTH0_LOGS knows ids for two hours: an older record that carries no information would only be stored a second time.
const WINDOW: time::Duration = time::Duration::hours(2);
/// A date further ahead than this is wrong, and is not waited for.
const AHEAD: time::Duration = time::Duration::hours(1);

/// The gap filler; runs where this worker reconciles.
#[derive(Clone)]
pub(super) struct GapFiller {
    pub(super) store: Store,
    pub(super) accept: Accept,
    pub(super) logs: LogReader,
    pub(super) metrics: Arc<Metrics>,
    pub(super) config: GapFillerConfig,
    /// None where the plan counts log reads separately from reads of users.
    pub(super) rate_limiter: Option<Arc<RateLimiter>>,
}

/// The reason why a read failed.
enum PollError {
    Store(StoreError),
    /// Auth0 returned no page.
    Call {
        error: CallError,
        retry_after: Option<Duration>,
    },
    /// The checkpoint was lost, which is reported. The next one may be lost too, so it is not requested at once.
    Lost,
    /// Records could not be stored; they are read again.
    NotStored(String),
}

impl From<StoreError> for PollError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The retry state of the gap filler.
struct PollState {
    /// Consecutive failed reads.
    failures: u32,
    /// It is already reported that Auth0 does not let us read.
    refused: bool,
    /// Records per page.
    take: u32,
}

impl GapFiller {
    /// Reads until dropped.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        let mut state = PollState {
            failures: 0,
            refused: false,
            take: MAX_TAKE,
        };
        loop {
            let wait = match self.read_on(state.take).await {
                Ok(wait) => {
                    self.on_success(&mut state);
                    wait
                }
                Err(PollError::Store(error)) => return Err(error),
                Err(failure) => self.on_failure(&failure, &mut state),
            };
            sleep(wait).await;
        }
    }

    /// Reads one page and stores the records that are ready. Returns how long to wait.
    async fn read_on(&self, take: u32) -> Result<Duration, PollError> {
        let Some(at) = self.store.log_checkpoint().await? else {
            return self.begin().await;
        };
        let page = match self.behind(&at, take).await? {
            Ok(page) => page,
            Err(why) => return self.restart(&at, &why).await,
        };
        if page.is_empty() && self.is_lost(&at).await? {
            let why = "no record follows it, although the log has newer records";
            return self.restart(&at, why).await;
        }
        let now = crate::clock::now();
        let full = page.len() >= take as usize;
        let ready = page
            .iter()
            .take_while(|record| self.is_ready(record, now))
            .count();
        self.store_records(&page[..ready], now).await?;
        let behind = full && ready == page.len();
        Ok(if behind { PAGE_PAUSE } else { self.config.delay })
    }

    /// Whether the stream has had its time to deliver the record.
    fn is_ready(&self, record: &Record, now: OffsetDateTime) -> bool {
        record
            .date
            .is_none_or(|date| date <= now - self.config.delay || date > now + AHEAD)
    }

    /// Stores records and only then moves the checkpoint past them.
    async fn store_records(&self, records: &[Record], now: OffsetDateTime) -> Result<(), PollError> {
        let Some(last) = records.last() else {
            return Ok(());
        };
        let wanted: Vec<&str> = records
            .iter()
            .filter(|record| is_wanted(record, now))
            .map(|record| record.json.get())
            .collect();
        let body = Bytes::from(format!("[{}]", wanted.join(",")));
        let accepted = self.accept.accept(&body).await;
        let accepted = accepted.map_err(|error| PollError::NotStored(error.to_string()))?;
        let at = Checkpoint {
            log_id: last.log_id.clone(),
            record_at: last.date,
        };
        self.store.put_log_checkpoint(&at).await?;
        let missed = accepted.records + accepted.unreadable - accepted.known;
        let skipped = (records.len() - wanted.len()) as u64;
        for (kind, count) in [
            (GapRecord::Missed, missed),
            (GapRecord::Known, accepted.known),
            (GapRecord::Skipped, skipped),
        ] {
            self.metrics.tenant_log.filled.of(kind).inc_by(count);
        }
        if missed > 0 {
            info!(
                records = missed,
                "the gap filler read log records that the stream had not delivered"
            );
        }
        Ok(())
    }

    /// One call, made when no attempt needs the rate limit.
    async fn page(&self, call: impl AsyncFnOnce() -> Reply<Page>) -> Result<Page, PollError> {
        let mut permit = self.acquire_permit().await?;
        let Reply { result, rate, .. } = call().await;
        if let Some(permit) = &mut permit {
            let limited = matches!(result, Err(CallError::Limited));
            permit.answered(CallKind::Read, &rate, limited);
        }
        let counted = result.as_ref().map_or_else(CallError::result, |_| CallResult::Ok);
        self.metrics.auth0_calls.of((Call::GetLogs, counted)).inc();
        result.map_err(|error| PollError::Call {
            error,
            retry_after: rate.retry_after,
        })
    }

    /// Obtains permission for a call, after users who are due. Where the plan counts log reads separately there is
    /// nothing to wait for.
    async fn acquire_permit(&self) -> Result<Option<Permit>, StoreError> {
        let Some(rate_limiter) = &self.rate_limiter else {
            return Ok(None);
        };
        let until = Instant::now() + LAST_FOR;
        while Instant::now() < until && self.store.next_due(false).await? == Some(Duration::ZERO) {
            sleep(POLL_INTERVAL).await;
        }
        Ok(Some(rate_limiter.acquire().await))
    }

    fn on_success(&self, state: &mut PollState) {
        if state.refused {
            info!("Auth0 lets the gap filler read the log again");
            self.metrics.tenant_log.refused.set(0);
        }
        *state = PollState {
            failures: 0,
            refused: false,
            take: MAX_TAKE,
        };
    }

    /// Reports once what the operator must know. Returns how long to wait.
    fn on_failure(&self, failure: &PollError, state: &mut PollState) -> Duration {
        state.failures = state.failures.saturating_add(1);
        let mut floor = Duration::ZERO;
        match failure {
            PollError::Call { error, retry_after } => {
                floor = retry_after.unwrap_or_default().min(MAX_FLOOR);
                match error {
                    _ if !state.refused && may_not_read(error) => {
                        state.refused = true;
                        self.metrics.tenant_log.refused.set(1);
                        error!(
                            "the gap filler may not read the tenant's log: {error}. Grant the client the scope \
                             read:logs, or set LOG_GAP_FILLER=off. Everything else continues; the gap filler retries by itself"
                        );
                    }
                    CallError::Later {
                        why: LaterWhy::BadAnswer,
                        ..
                    } => {
                        // A page may be too large for us: a smaller request returns a smaller page.
                        state.take = (state.take / 10).max(1);
                        warn!(
                            "the gap filler received no page: {error}; the next request asks for {} records",
                            state.take
                        );
                    }
                    _ => debug!("the gap filler received no page: {error}"),
                }
            }
            PollError::NotStored(why) => debug!("the gap filler could not store the records: {why}"),
            PollError::Lost | PollError::Store(_) => {}
        }
        let jitter = rand::rng().random_range(0.5..1.0);
        base_delay(state.failures).mul_f64(jitter).max(floor)
    }
}

/// Whether the error denies the client access to the log.
fn may_not_read(error: &CallError) -> bool {
    matches!(error, CallError::Scope { .. } | CallError::Credentials { .. }) || error.is_denied()
}

/// Whether a record is worth storing: a record older than the stream's duplicate window only if it carries information.
fn is_wanted(record: &Record, now: OffsetDateTime) -> bool {
    if record.date.is_none_or(|date| date > now - WINDOW) {
        return true;
    }
    // The fold judges a record that cannot be read.
    log_record::parse(record.json.get().as_bytes()).map_or(true, |read| {
        read.effect != Effect::Other || read.profile_update.is_some()
    })
}
