//! Fourth step: the write, and the handling of a failed one.
//!
//! Owns the PATCH. Must never send a decision made from an old profile, and never leave a write open that certainly
//! changed nothing.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::error;

use super::attempt::{Attempt, AttemptError, Completed};
use super::decision::ToWrite;
use super::observe::Observed;
use super::own_writes;
use super::stray::is_made_later;
use crate::auth0::{CallError, LaterWhy, Outcome, RateHeaders};
use rolekeeper_domain::pacer::CallKind;
use rolekeeper_domain::patch::Patch;

/// How a write ended.
pub(super) enum Sent {
    /// It is recorded, or nothing was written.
    Completed(Completed),
    /// It reached another account than the one that was read, which its response shows.
    Elsewhere(Observed),
}

impl Attempt {
    /// Sends the decided write and records its result.
    pub(super) async fn write(&mut self, write: &ToWrite, read: &Observed) -> Result<Sent, AttemptError> {
        let (body, user) = (write.patch.body(), &self.claim.user);
        let asked = Instant::now();
        let reply = self.context.writer.patch_user(user, &body, read.until).await;
        crash_point!("written");
        self.context.took(asked, &reply);
        let answered = (reply.rate, reply.answered_at);
        let after = match self.answered(CallKind::Write, reply) {
            Ok(after) => after,
            Err(AttemptError::Call {
                error: CallError::Gone { at },
                ..
            }) => return self.absent(at).await.map(Sent::Completed),
            Err(error) => {
                if let AttemptError::Call { error, .. } = &error {
                    own_writes::refused(&self.context.store, write.write, error).await?;
                }
                return self.unwritten(write, error).await.map(Sent::Completed);
            }
        };
        if !write.patch.is_shown_by(&after.roles(), &after.display_name()) {
            // The status is 200, but the response does not show what was written.
            let detail = "the response to the write does not show what was written".to_owned();
            let error = CallError::Later {
                why: LaterWhy::BadAnswer,
                outcome: Outcome::Unknown,
                detail,
            };
            return Err(AttemptError::Call {
                error,
                rate: RateHeaders::default(),
            });
        }
        let after = Arc::new(after);
        if is_made_later(&after, &read.profile) {
            return Ok(if self.note_stray(write, &after).await? {
                Sent::Elsewhere(Observed::new(after, answered, self.lease_ends))
            } else {
                Sent::Completed(Completed::Done)
            });
        }
        if self.record_together(write, &after).await {
            return Ok(Sent::Completed(Completed::Done));
        }
        Ok(Sent::Completed(self.record(write, &after).await?))
    }

    /// Handles a failed write. A refused write with a name may be repeated without it.
    async fn unwritten(&self, write: &ToWrite, error: AttemptError) -> Result<Completed, AttemptError> {
        let patch = &write.patch;
        let AttemptError::Call { error: why, .. } = &error else {
            return Err(error);
        };
        match (why, patch.name_change()) {
            (CallError::Refused { .. }, Some(name_change)) => {
                Ok(self.name_refused((name_change, write.request), why).await?)
            }
            (CallError::Refused { .. }, None) => {
                self.report_refusal(patch, why);
                Err(error)
            }
            (
                CallError::Later {
                    why: LaterWhy::TooLate,
                    ..
                },
                _,
            ) => Err(AttemptError::TooLate),
            _ => Err(error),
        }
    }

    /// Reports role changes that Auth0 refused to write: above all a revoke, which the user may have caused.
    fn report_refusal(&self, patch: &Patch, why: &CallError) {
        for (role, change) in patch.plan().changes() {
            self.context.metrics.role_writes_refused.of(*change).inc();
            let change = change.as_str();
            error!(
                user.id = self.claim.user.as_str(),
                role,
                change,
                "Auth0 refused to write a role change ({change}): {why}. A profile above Auth0's limit of 10 KB may be \
                 the cause; make it smaller, or write the role by hand, then: rolekeeper requeue --user ID"
            );
        }
    }
}
