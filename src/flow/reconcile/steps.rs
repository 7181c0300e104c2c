//! The order of an attempt: three short transactions and at most two calls, or twice that where a write reached another account
//! than the one that was read.
//!
//! Owns the order: claim and permission, token, GET, decide, PATCH, record. Must never hold a transaction or a
//! connection across a call, never wait between GET and PATCH unless the rate limit leaves no call for the PATCH, never write from
//! a profile that was read too long ago, and never attempt a change that is not in the audit.

use std::time::Duration;

use tokio::time::sleep_until;

use super::attempt::{Attempt, AttemptError, Completed};
use super::decision::Decided;
use super::write::Sent;
use crate::auth0::CallError;
use crate::traces;

/// Time that is left for decision and write after such a wait.
const TO_WRITE: Duration = Duration::from_millis(400);

impl Attempt {
    /// Runs the attempt after its claim: reads the profile and writes what is missing.
    pub(super) async fn run(&mut self) -> Result<Completed, AttemptError> {
        let mut shown = None;
        loop {
            let observed = match shown.take() {
                Some(observed) => Ok(observed),
                None => self.observe().await,
            };
            let observed = match observed {
                Ok(observed) => observed,
                Err(AttemptError::Call {
                    error: CallError::Gone { at },
                    ..
                }) => return self.absent(at).await,
                Err(error) => return Err(error),
            };
            self.person_kept = false;
            if self.permission.expects() && self.permit.write_waits(&observed.rate) {
                sleep_until(observed.until - TO_WRITE).await;
            }
            let deciding = traces::decision();
            let mut decided = if let Some(write) = self.decide_together(&observed).await {
                Decided::Write(write)
            } else {
                if self.permission.expects() {
                    // Deciding alone would take as long as the batch has taken.
                    observed.in_time()?;
                }
                self.decide(&observed).await?
            };
            if let Decided::OtherPerson(ids) = decided {
                self.person_kept = self.keep_person(&observed.profile, &ids).await?;
                decided = self.decide(&observed).await?;
            }
            match decided {
                Decided::OtherPerson(_) => return Ok(Completed::Done),
                Decided::Nothing(completed) => return Ok(completed),
                Decided::Unasked(change) => {
                    deciding.end();
                    self.ask_late(change).await?;
                    self.permit.once_more().await;
                }
                Decided::Write(write) => {
                    let changes = write.patch.plan().changes().iter();
                    deciding.changes(changes.map(|(role, change)| format!("{} {role}", change.as_str())));
                    deciding.end();
                    match self.write(&write, &observed).await? {
                        Sent::Completed(completed) => return Ok(completed),
                        Sent::Elsewhere(other) => {
                            // The response shows the account as it is now, as a read would.
                            shown = Some(other);
                            self.permit.once_more().await;
                        }
                    }
                }
            }
        }
    }
}
