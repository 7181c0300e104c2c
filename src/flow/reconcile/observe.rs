//! Second step: the read of the profile.
//!
//! Owns the deadline for a write after a read. Must never read without a token that is also valid for the write:
//! fetching a token can take as long as the profile may age.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{Attempt, AttemptError};
use crate::auth0::{Profile, RateHeaders};
use rolekeeper_domain::pacer::CallKind;

/// Longest time from the response to a read until its write. A write of another client in between is overwritten, so
/// the time must be short; a healthy Postgres needs some hundredths of a second.
const WRITE_WITHIN: Duration = Duration::from_secs(2);

/// A profile as it was read, or as the response to a write shows it.
pub(super) struct Observed {
    pub(super) profile: Arc<Profile>,
    pub(super) rate: RateHeaders,
    /// No write may follow after this time.
    pub(super) until: Instant,
}

impl Observed {
    /// A profile whose response came at `answered_at`, for an attempt whose lease ends then.
    pub(super) fn new(
        profile: Arc<Profile>,
        (rate, answered_at): (RateHeaders, Option<Instant>),
        lease_ends: Instant,
    ) -> Self {
        let until = answered_at.unwrap_or_else(Instant::now) + WRITE_WITHIN;
        Self {
            profile,
            rate,
            until: until.min(lease_ends),
        }
    }

    pub(super) fn in_time(&self) -> Result<(), AttemptError> {
        if Instant::now() <= self.until {
            Ok(())
        } else {
            Err(AttemptError::TooLate)
        }
    }
}

impl Attempt {
    /// Reads the profile, with a token that is also valid for the write.
    pub(super) async fn observe(&mut self) -> Result<Observed, AttemptError> {
        let context = &self.context;
        let ready = context
            .reader
            .prepare(context.request_timeout + WRITE_WITHIN)
            .await;
        if let Err(error) = ready.result {
            self.count_call(CallKind::Read, error.result());
            return Err(AttemptError::Call {
                error,
                rate: ready.rate,
            });
        }
        let (user, asked) = (&self.claim.user, Instant::now());
        let reply = if self.claim.was_illegible() {
            context.reader.get_needed(user).await
        } else {
            context.reader.get_user(user).await
        };
        context.took(asked, &reply);
        let answered = (reply.rate, reply.answered_at);
        let profile = Arc::new(self.answered(CallKind::Read, reply)?);
        Ok(Observed::new(profile, answered, self.lease_ends))
    }
}
