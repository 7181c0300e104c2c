//! Reads from the tenant's log what its stream has dropped.
//!
//! Owns the checkpoint and the pace. What is read goes the way of the webhook: AUTH0_LOGS drops what it has by the
//! record's id inside its duplicate window, and a record is only a hint, so that one taken twice does nothing. Must
//! never hold up looks: its calls come last, its troubles are its own, and no refusal pauses the stage.
//!
//! **Delay.** Only records that are some time old are taken, and the checkpoint stays before the first that is not.
//! So the stream gets to deliver first, and a record that appears late among the others (ids trail dates by up to 5.4 s,
//! measured) is still behind the checkpoint.

mod place;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt as _;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

use super::permit::{Gate, Permit};
use crate::auth0::{CallError, LaterWhy, LogReader, MAX_TAKE, Page, Record, Reply};
use crate::config::GapFillerConfig;
use crate::domain::log_record::{self, Tells};
use crate::domain::pacer::Kind;
use crate::domain::schedule::MAX_FLOOR;
use crate::flow::accept::Accept;
use crate::flow::backoff::base_delay;
use crate::metrics::Metrics;
use crate::store::{Checkpoint, Store, StoreError};

/// Between two pages while it is behind: half of the 100 readings a minute of the smallest plan that counts them apart.
const PAGE_PAUSE: Duration = Duration::from_millis(1_200);
/// How long looks that are due go first; after that one page is read all the same.
const LAST_FOR: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// AUTH0_LOGS knows ids for two hours: what is older, and tells nothing, would only be stored a second time.
const WINDOW: time::Duration = time::Duration::hours(2);
/// A date further ahead than this is wrong, and not waited for.
const AHEAD: time::Duration = time::Duration::hours(1);

/// The gap filler; runs where this worker reconciles.
#[derive(Clone)]
pub(super) struct GapFiller {
    pub(super) store: Store,
    pub(super) accept: Accept,
    pub(super) logs: LogReader,
    pub(super) metrics: Arc<Metrics>,
    pub(super) config: GapFillerConfig,
    /// None where the plan counts readings of the log apart from those of users.
    pub(super) gate: Option<Arc<Gate>>,
}

/// Why a reading came to nothing.
enum Trouble {
    Store(StoreError),
    /// Auth0 gave no page.
    Call {
        error: CallError,
        retry_after: Option<Duration>,
    },
    /// The place was lost, and said to be; the next one may be lost too, and is not asked for at once.
    Lost,
    /// What was read could not be stored; it is read again.
    Unstored(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What past readings have taught.
struct Course {
    /// Readings in a row that came to nothing.
    failures: u32,
    /// It has been said that Auth0 does not let us read.
    refused: bool,
    /// Records a page.
    take: u32,
}

impl GapFiller {
    /// Reads for ever.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        let mut course = Course {
            failures: 0,
            refused: false,
            take: MAX_TAKE,
        };
        loop {
            let wait = match self.read_on(course.take).await {
                Ok(wait) => {
                    self.went_well(&mut course);
                    wait
                }
                Err(Trouble::Store(error)) => return Err(error),
                Err(trouble) => self.went_wrong(&trouble, &mut course),
            };
            sleep(wait).await;
        }
    }

    /// Reads one page and stores what is ready; answers how long to wait.
    async fn read_on(&self, take: u32) -> Result<Duration, Trouble> {
        let Some(at) = self.store.log_checkpoint().await? else {
            return self.begin().await;
        };
        let page = match self.behind(&at, take).await? {
            Ok(page) => page,
            Err(why) => return self.begin_anew(&at, &why).await,
        };
        if page.is_empty() && self.is_lost(&at).await? {
            let why = "no record follows it, although the log has newer records";
            return self.begin_anew(&at, why).await;
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

    /// Whether the stream has had its time to deliver it.
    fn is_ready(&self, record: &Record, now: OffsetDateTime) -> bool {
        record
            .date
            .is_none_or(|date| date <= now - self.config.delay || date > now + AHEAD)
    }

    /// Stores records and then, only then, moves the checkpoint behind them.
    async fn store_records(&self, records: &[Record], now: OffsetDateTime) -> Result<(), Trouble> {
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
        let accepted = accepted.map_err(|error| Trouble::Unstored(error.to_string()))?;
        let at = Checkpoint {
            log_id: last.log_id.clone(),
            record_at: last.date,
        };
        self.store.put_log_checkpoint(&at).await?;
        let missed = accepted.records + accepted.unreadable - accepted.known;
        let skipped = (records.len() - wanted.len()) as u64;
        for (kind, count) in [
            ("missed", missed),
            ("known", accepted.known),
            ("skipped", skipped),
        ] {
            self.metrics
                .tenant_log
                .filled
                .with_label_values(&[kind])
                .inc_by(count);
        }
        if missed > 0 {
            info!(
                records = missed,
                "the gap filler read log records that the stream had not delivered"
            );
        }
        Ok(())
    }

    /// One call, when nobody else needs it.
    async fn page(&self, call: impl AsyncFnOnce() -> Reply<Page>) -> Result<Page, Trouble> {
        let mut permit = self.leave().await?;
        let Reply { result, rate, .. } = call().await;
        if let Some(permit) = &mut permit {
            let limited = matches!(result, Err(CallError::Limited));
            permit.answered(Kind::Read, &rate, limited);
        }
        let label = result.as_ref().map_or_else(CallError::as_str, |_| "ok");
        self.metrics
            .auth0_calls
            .with_label_values(&["get_logs", label])
            .inc();
        result.map_err(|error| Trouble::Call {
            error,
            retry_after: rate.retry_after,
        })
    }

    /// Leave for a call, after users who are due. Where the plan counts readings apart there is nobody to wait for.
    async fn leave(&self) -> Result<Option<Permit>, StoreError> {
        let Some(gate) = &self.gate else {
            return Ok(None);
        };
        let until = Instant::now() + LAST_FOR;
        while Instant::now() < until && self.store.next_due(false).await? == Some(Duration::ZERO) {
            sleep(LOOK_EVERY).await;
        }
        Ok(Some(gate.look().await))
    }

    fn went_well(&self, course: &mut Course) {
        if course.refused {
            info!("Auth0 lets the gap filler read the log again");
            self.metrics.tenant_log.refused.set(0);
        }
        *course = Course {
            failures: 0,
            refused: false,
            take: MAX_TAKE,
        };
    }

    /// Says what a person must know, once, and answers how long to wait.
    fn went_wrong(&self, trouble: &Trouble, course: &mut Course) -> Duration {
        course.failures = course.failures.saturating_add(1);
        let mut floor = Duration::ZERO;
        match trouble {
            Trouble::Call { error, retry_after } => {
                floor = retry_after.unwrap_or_default().min(MAX_FLOOR);
                match error {
                    _ if !course.refused && may_not_read(error) => {
                        course.refused = true;
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
                        // A page may be too large for us: fewer records go into a smaller one.
                        course.take = (course.take / 10).max(1);
                        warn!(
                            "the gap filler received no page: {error}; the next request asks for {} records",
                            course.take
                        );
                    }
                    _ => debug!("the gap filler received no page: {error}"),
                }
            }
            Trouble::Unstored(why) => debug!("the gap filler could not store the records: {why}"),
            Trouble::Lost | Trouble::Store(_) => {}
        }
        let jitter = rand::rng().random_range(0.5..1.0);
        base_delay(course.failures).mul_f64(jitter).max(floor)
    }
}

/// Whether the client is not let to the log.
fn may_not_read(error: &CallError) -> bool {
    matches!(error, CallError::Scope { .. } | CallError::Credentials { .. }) || error.is_denied()
}

/// Whether a record is worth storing: one older than the stream's memory only if it tells something.
fn is_wanted(record: &Record, now: OffsetDateTime) -> bool {
    if record.date.is_none_or(|date| date > now - WINDOW) {
        return true;
    }
    // What cannot be read is for the fold to judge.
    log_record::parse(record.json.get().as_bytes())
        .map_or(true, |read| read.tells != Tells::Other || read.says.is_some())
}
