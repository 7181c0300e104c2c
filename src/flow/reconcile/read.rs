//! The read of a profile, and the report of a response to pacer and metrics.
//!
//! Owns the deadline for a write after a read. Must never read without a token that is also valid for the write:
//! fetching a token can take as long as the profile may age.

use tokio::time::Instant;

use super::Reconcile;
use super::attempt::{AttemptError, Taken};
use super::slow::WRITE_WITHIN;
use crate::auth0::{CallError, LaterWhy, Profile, RateHeaders, Reply};
use crate::flow::permit::Permit;
use crate::metrics::{Call, CallResult};
use rolekeeper_domain::pacer::Kind;

/// A profile as it was read.
pub(super) struct Read {
    pub(super) profile: Profile,
    pub(super) rate: RateHeaders,
    /// No write may follow after this time.
    pub(super) until: Instant,
}

impl Read {
    pub(super) fn in_time(&self) -> Result<(), AttemptError> {
        if Instant::now() <= self.until {
            Ok(())
        } else {
            Err(AttemptError::TooLate)
        }
    }
}

impl Reconcile {
    /// Reads the profile, with a token that is also valid for the write.
    pub(super) async fn read(&self, taken: &Taken, permit: &mut Permit) -> Result<Read, AttemptError> {
        let user = &taken.claim.user;
        let ready = self.reader.prepare(self.request_timeout + WRITE_WITHIN).await;
        if let Err(error) = ready.result {
            self.count_call(Kind::Read, error.result());
            return Err(AttemptError::Call {
                error,
                rate: ready.rate,
            });
        }
        let reply = if taken.claim.was_illegible() {
            self.reader.get_needed(user).await
        } else {
            self.reader.get_user(user).await
        };
        let (rate, answered_at) = (reply.rate, reply.answered_at);
        let profile = self.answered(permit, Kind::Read, reply)?;
        let until = answered_at.unwrap_or_else(Instant::now) + WRITE_WITHIN;
        Ok(Read {
            profile,
            rate,
            until: until.min(taken.lease_ends),
        })
    }

    /// Reports a response to pacer and metrics.
    pub(super) fn answered(
        &self,
        permit: &mut Permit,
        call: Kind,
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
            permit.answered(call, &reply.rate, limited);
            if matches!(reply.result, Ok(_) | Err(CallError::Gone { .. })) {
                permit.accept(call);
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

    fn count_call(&self, call: Kind, result: CallResult) {
        let call = if call == Kind::Read {
            Call::GetUser
        } else {
            Call::PatchUser
        };
        self.metrics.auth0_calls.of((call, result)).inc();
    }
}
