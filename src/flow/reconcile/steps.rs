//! The order of an attempt: three short transactions and at most two calls.
//!
//! Owns the order: claim and permission, token, GET, decide, PATCH, record. Must never hold a transaction or a
//! connection across a call, never wait between GET and PATCH, never write from a profile that was read too long ago,
//! and never attempt a change that is not in the audit.

use super::attempt::{Attempt, AttemptError, Completed};
use super::decision::Decided;
use crate::auth0::CallError;

impl Attempt {
    /// Runs the attempt after its claim: reads the profile and writes what is missing.
    pub(super) async fn run(&mut self) -> Result<Completed, AttemptError> {
        loop {
            let observed = match self.observe().await {
                Ok(observed) => observed,
                Err(AttemptError::Call {
                    error: CallError::Gone { at },
                    ..
                }) => return Ok(self.gone(at).await?),
                Err(error) => return Err(error),
            };
            match self.decide(&observed).await? {
                Decided::Nothing(completed) => return Ok(completed),
                Decided::Unasked(change) => {
                    self.ask_late(change).await?;
                    self.permit.once_more().await;
                }
                Decided::Write(write) => return self.write(&write, observed.until).await,
            }
        }
    }
}
