//! One pass over one user.
//!
//! Owns the user's claim, the permission to change roles, the permit for calls and the end of the lease, and the report
//! of each response to pacer and metrics. Must never outlive its lease unnoticed: every transaction after a call checks
//! it.

use std::sync::Arc;

use tokio::time::Instant;

use super::context::Context;
use super::permission::Permission;
use crate::auth0::{CallError, LaterWhy, Profile, RateHeaders, Reply};
use crate::flow::permit::Permit;
use crate::metrics::{Call, CallResult, ChangeOutcome, Label as _};
use crate::store::{Claim, StoreError};
use crate::traces::{self, AttemptOf, Span};
use rolekeeper_domain::pacer::CallKind;
use rolekeeper_domain::plan::RoleChange;

/// An attempt at one user, from the claim on.
pub(super) struct Attempt {
    pub(super) context: Arc<Context>,
    pub(super) claim: Claim,
    /// The changes that may be made.
    pub(super) permission: Permission,
    /// The calls that may be made.
    pub(super) permit: Permit,
    /// The links that the read profile shows are stored.
    pub(super) person_kept: bool,
    /// No write is sent after this.
    pub(super) lease_ends: Instant,
}

/// How an attempt completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completed {
    /// The user is up to date, is held, waits for the operator, or belongs to another attempt by now.
    Done,
    /// The user is due again soon; the queue must be looked at.
    Requeued,
}

/// The reason why an attempt did not complete.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    /// Postgres failed; the lease expires and the user is attempted again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Auth0 failed or refused.
    #[error("{error}")]
    Call {
        /// The error, which says what acts next.
        error: CallError,
        /// The response's headers about waiting.
        rate: RateHeaders,
    },
    /// A fault of the program, met with this user.
    #[error("a panic, which is a fault of the program; the log has the details")]
    Panicked,
    /// Too much time passed between the read and the write.
    #[error("the profile was read too long ago to write")]
    TooLate,
}

impl AttemptError {
    /// The class of the failure; it names no user.
    pub(super) fn class(&self) -> String {
        match self {
            Self::Store(_) => "postgres".to_owned(),
            Self::Call { error, .. } => error.code().unwrap_or_else(|| error.result().text().to_owned()),
            Self::Panicked => "panic".to_owned(),
            Self::TooLate => "too_late".to_owned(),
        }
    }
}

impl Attempt {
    /// Returns the span of the attempt, which continues the trace of the event that caused it.
    pub(super) fn span(&self) -> Span {
        let cause = self.claim.cause.as_ref();
        traces::attempt(AttemptOf {
            parent: cause.and_then(|cause| cause.trace.as_deref()),
            event: cause.map(|cause| cause.event.as_str()),
            failed_before: self.claim.attempts,
            queued_ms: self.claim.queued_ms,
        })
    }

    /// Reports a response to pacer and metrics.
    pub(super) fn answered(
        &mut self,
        call: CallKind,
        reply: Reply<Profile>,
    ) -> Result<Profile, AttemptError> {
        let late = |error: &CallError| {
            matches!(
                error,
                CallError::Later {
                    why: LaterWhy::TooLate,
                    ..
                }
            )
        };
        if !reply.result.as_ref().is_err_and(late) {
            let limited = matches!(reply.result, Err(CallError::Limited));
            self.permit.answered(call, &reply.rate, limited);
            if matches!(reply.result, Ok(_) | Err(CallError::Gone { .. })) {
                self.permit.accept(call);
            }
            let result = reply
                .result
                .as_ref()
                .map_or_else(CallError::result, |_| CallResult::Ok);
            self.count_call(call, result);
        }
        reply.result.map_err(|error| AttemptError::Call {
            error,
            rate: reply.rate,
        })
    }

    /// Counts a call to the Management API.
    pub(super) fn count_call(&self, call: CallKind, result: CallResult) {
        let call = if call == CallKind::Read {
            Call::GetUser
        } else {
            Call::PatchUser
        };
        self.context.metrics.auth0_calls.of((call, result)).inc();
    }

    /// Measures the time from the event that caused the attempt until now, in seconds; none without such an event.
    pub(super) fn observe_lag(&self) -> Option<f64> {
        let cause = self.claim.cause.as_ref()?;
        let lag = (crate::clock::now() - cause.stored_at).as_seconds_f64();
        self.context.metrics.role_lag.observe(lag.max(0.0));
        Some(lag)
    }

    /// Counts a change whose effect the attempt saw in the profile.
    pub(super) fn count_confirmed(&self, change: RoleChange) {
        self.context
            .metrics
            .role_changes
            .of((change, ChangeOutcome::Confirmed))
            .inc();
    }
}
