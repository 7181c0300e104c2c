//! Asks Auth0 whether a record of its log is as it was delivered.
//!
//! Owns the call, the comparison and the retries. A record that cannot be confirmed is reported, and nothing is
//! restored because of it. Must never hold a transaction across a call, never ask for a record that no attempt needs,
//! and never ask faster than the tenant's log may be read.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::permit::RateLimiter;
use crate::auth0::{CallError, LogReader, Reply};
use crate::flow::backoff::base_delay;
use crate::metrics::{Call, CallResult, Metrics};
use crate::store::confirmations::{RecordToConfirm, Verdict};
use crate::store::{RaceOutcome, Store, StoreError};
use rolekeeper_domain::log_record::{self, Effect, LogRecord, WrittenRoles};
use rolekeeper_domain::pacer::CallKind;
use rolekeeper_domain::schedule::MAX_FLOOR;

/// Interval at which the queue of records is read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Records taken in one read.
const AT_ONCE: i64 = 16;
/// Delay between two calls where the plan counts log reads separately: half of the 100 a minute of the smallest such
/// plan.
const APART: Duration = Duration::from_millis(1_200);
/// Period in which a record that Auth0 does not know is requested again. A record appears in the log some seconds after
/// the write.
const UNKNOWN_FOR: Duration = Duration::from_mins(10);
/// Period after which a record without a usable response is given up: longer than outages of Auth0.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(24);
/// Longest wait between two requests for a record.
const ASK_AT_LEAST_EVERY: Duration = Duration::from_mins(1);
/// Times are stored to the microsecond.
const SAME_TIME: time::Duration = time::Duration::milliseconds(1);

/// Confirms records; runs where this worker reconciles.
#[derive(Clone)]
pub(super) struct Confirm {
    pub(super) store: Store,
    pub(super) logs: LogReader,
    pub(super) metrics: Arc<Metrics>,
    /// None where the plan counts log reads separately from reads of users.
    pub(super) rate_limiter: Option<Arc<RateLimiter>>,
}

impl Confirm {
    /// Confirms records until dropped.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        loop {
            let due = self.store.records_to_confirm(AT_ONCE).await?;
            if due.is_empty() {
                sleep(POLL_INTERVAL).await;
            }
            for asked in due {
                self.confirm(&asked).await?;
            }
        }
    }

    /// Asks for one record and stores Auth0's verdict.
    async fn confirm(&self, asked: &RecordToConfirm) -> Result<(), StoreError> {
        let Reply { result, rate, .. } = self.call(&asked.log_id).await;
        let verdict = match result {
            Ok(Some(body)) if is_same(asked, &body) => Verdict::Confirmed,
            Ok(Some(_)) => Verdict::Differs,
            Ok(None) if asked.waited >= UNKNOWN_FOR => Verdict::Unknown,
            Ok(None) => return self.later(asked, None).await,
            Err(CallError::Scope { .. }) => Verdict::NoScope,
            // A proxy in between may have denied the call. Only Auth0 itself names scopes, so a bare denial counts only
            // once it has lasted.
            Err(why) if why.is_denied() && asked.waited >= UNKNOWN_FOR => Verdict::NoScope,
            Err(why) if asked.waited >= GIVEN_UP_AFTER => {
                warn!(log_id = asked.log_id, "the record will not be confirmed: {why}");
                Verdict::Unanswered
            }
            Err(why) => {
                debug!(log_id = asked.log_id, "the record could not be requested: {why}");
                return self.later(asked, rate.retry_after).await;
            }
        };
        let judged = self.store.judged(asked, verdict).await?;
        let races = self.metrics.races.of(RaceOutcome::Unconfirmed);
        races.inc_by(judged.unconfirmed);
        if asked.write.is_some() && verdict == Verdict::Confirmed {
            debug!(
                user.id = asked.user,
                log_id = asked.log_id,
                "Auth0 confirms that a write of ours was done"
            );
        } else if asked.own {
            report_own(asked, verdict, judged.stopped);
        } else {
            report(asked, verdict);
        }
        Ok(())
    }

    /// One call, charged to the rate limit like any other.
    async fn call(&self, log_id: &str) -> Reply<Option<Vec<u8>>> {
        let reply = if let Some(rate_limiter) = &self.rate_limiter {
            let mut permit = rate_limiter.acquire().await;
            let reply = self.logs.one(log_id).await;
            let limited = matches!(reply.result, Err(CallError::Limited));
            permit.answered(CallKind::Read, &reply.rate, limited);
            reply
        } else {
            sleep(APART).await;
            self.logs.one(log_id).await
        };
        let counted = match &reply.result {
            Ok(Some(_)) => CallResult::Ok,
            Ok(None) => CallResult::Gone,
            Err(error) => error.result(),
        };
        self.metrics.auth0_calls.of((Call::GetLog, counted)).inc();
        reply
    }

    async fn later(&self, asked: &RecordToConfirm, retry_after: Option<Duration>) -> Result<(), StoreError> {
        let floor = retry_after.unwrap_or_default().min(MAX_FLOOR);
        let after = base_delay(asked.asks.saturating_add(1))
            .min(ASK_AT_LEAST_EVERY)
            .max(floor);
        self.store.confirm_later(asked, after).await
    }
}

/// Logs Auth0's verdict, and what the operator has to do where the record is not confirmed.
fn report(asked: &RecordToConfirm, verdict: Verdict) {
    let (user, log_id) = (asked.user.as_str(), asked.log_id.as_str());
    let (client, theirs) = (&asked.client, &asked.roles);
    match verdict {
        Verdict::Confirmed => debug!(user.id = user, log_id, "Auth0 confirms the record"),
        Verdict::Unknown => error!(
            user.id = user,
            log_id,
            ?client,
            ?theirs,
            "Auth0 does not know a record that the log stream delivered: nothing is restored because of it. Find out \
             which systems may post to the webhook or publish to auth0.logs.*"
        ),
        Verdict::Differs => error!(
            user.id = user,
            log_id,
            ?client,
            ?theirs,
            "Auth0's record under this log_id differs from the delivered one: nothing is restored because of it. Find out \
             which systems may post to the webhook or publish to auth0.logs.*"
        ),
        Verdict::NoScope => warn!(
            user.id = user,
            log_id,
            ?client,
            ?theirs,
            "another client wrote roles while we wrote, and our client may not read the tenant's log: nothing is \
             restored. Grant it the scopes read:logs and read:logs_users, and compare the profile by hand"
        ),
        Verdict::Unanswered => error!(
            user.id = user,
            log_id,
            ?client,
            ?theirs,
            "Auth0 gave no usable response about a record for a day: nothing is restored because of it. Compare the \
             profile with the tenant's log by hand"
        ),
    }
}

/// Logs Auth0's verdict on a record under our own client id that is none of our writes.
fn report_own(asked: &RecordToConfirm, verdict: Verdict, stopped: bool) {
    let (user, log_id, roles) = (asked.user.as_str(), asked.log_id.as_str(), &asked.roles);
    match verdict {
        Verdict::Confirmed if stopped => error!(
            user.id = user,
            log_id,
            ?roles,
            "writes are stopped: Auth0 confirms a write under our own client id that this rolekeeper did not make. A second \
             rolekeeper, a script with our credentials, or a database restored from a backup is the cause. Find it, give it a \
             client of its own, then: rolekeeper resume --why TEXT"
        ),
        Verdict::Confirmed => error!(
            user.id = user,
            log_id,
            ?roles,
            "Auth0 confirms a write under our own client id that this rolekeeper did not make. Writes are stopped already, are \
             off, or were resumed since"
        ),
        Verdict::Unknown | Verdict::Differs => error!(
            user.id = user,
            log_id,
            ?roles,
            "Auth0 does not confirm a record under our own client id that the log stream delivered: it stops nothing. Find out \
             which systems may post to the webhook or publish to auth0.logs.*"
        ),
        Verdict::NoScope => warn!(
            user.id = user,
            log_id,
            ?roles,
            "a record reports a write under our own client id that this rolekeeper did not make, and our client may not read \
             the tenant's log: writes continue. Grant it the scopes read:logs and read:logs_users"
        ),
        Verdict::Unanswered => error!(
            user.id = user,
            log_id,
            ?roles,
            "Auth0 gave no usable response about a record under our own client id for a day: it stops nothing. Look for \
             its log_id in the tenant's log"
        ),
    }
}

/// Whether Auth0's record equals the delivered one in user, client, times and roles.
fn is_same(asked: &RecordToConfirm, body: &[u8]) -> bool {
    let Ok(record) = log_record::parse(body) else {
        return false;
    };
    let LogRecord {
        log_id,
        kind,
        date,
        client_id,
        updated_at,
        effect: Effect::Written { user, roles },
        profile_update: _,
        tenant: _,
    } = record
    else {
        return false;
    };
    let same_roles = match roles {
        WrittenRoles::Set(roles) => !asked.wiped && roles == asked.roles,
        WrittenRoles::Wiped => asked.wiped,
        WrittenRoles::Unknown | WrittenRoles::Untouched => false,
    };
    kind == "sapi"
        && log_id.as_ref() == Some(&asked.log_id)
        && client_id == asked.client
        && user.as_str() == asked.user
        && same_time(date, asked.dated)
        && same_time(updated_at.or(date), Some(asked.at))
        && same_roles
}

fn same_time(one: Option<OffsetDateTime>, other: Option<OffsetDateTime>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() < SAME_TIME,
        (None, None) => true,
        _ => false,
    }
}
