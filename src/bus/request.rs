//! Waiting for responses of NATS.
//!
//! Owns that a refusal ends the wait, and that an error contains its cause where it is known. Must never wait for a response
//! that cannot arrive.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::debug;

use super::Bus;

/// Text of the client library's error when no JetStream responds.
const NO_RESPONDERS: &str = "requested JetStream resource does not exist";

impl Bus {
    /// Sends a request to the JetStream API.
    ///
    /// # Errors
    /// JetStream does not respond, or this user lacks a permission.
    pub(super) async fn request<T: DeserializeOwned>(
        &self,
        subject: String,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<T, String> {
        let whole = format!("{}.{subject}", self.api_prefix);
        let since = self.refusals.now();
        self.answered(&whole, since, self.jetstream.request(subject, payload))
            .await
    }

    /// Waits for the response to a publish to `subject` (or below it, where it ends with a dot) after `since`.
    ///
    /// # Errors
    /// No response arrived, or this user lacks a permission.
    pub(super) async fn answered<T, E: Display>(
        &self,
        subject: &str,
        since: u64,
        answer: impl IntoFuture<Output = Result<T, E>>,
    ) -> Result<T, String> {
        let refused = tokio::select! {
            biased;
            answer = answer.into_future() => {
                return answer
                    .inspect(|_| self.refusals.responded())
                    .map_err(|error| self.because(&error));
            }
            refused = self.refusals.refused(subject, since) => refused,
        };
        if self.refusals.is_to_be_renewed() {
            debug!(
                dependency = "nats",
                "reconnecting to check whether responses are permitted now"
            );
            if let Err(why) = self.client.force_reconnect().await {
                debug!(dependency = "nats", "the connection was not replaced: {why}");
            }
        }
        Err(refused)
    }

    /// Returns the reason why there is no connection, as the end of a sentence; none where there is one.
    pub(super) fn unconnected(&self) -> Option<String> {
        (!self.is_connected()).then(|| self.why_unconnected())
    }

    /// Returns the reason why there is no connection, as the end of a sentence; empty where it is not known.
    #[must_use]
    pub fn why_unconnected(&self) -> String {
        let why = self.refusals.unconnected().filter(|_| !self.is_connected());
        why.map_or_else(String::new, |why| {
            format!("; the last attempt to connect failed: {why}")
        })
    }

    /// Returns the text of an error, with its cause where it is known.
    pub(super) fn because(&self, error: &dyn Display) -> String {
        let error = error.to_string();
        if error.contains(NO_RESPONDERS) {
            return format!(
                "no JetStream responds at {}: it is starting, off for this account, or in a domain (NATS_JETSTREAM_DOMAIN)",
                self.api_prefix
            );
        }
        error + &self.why_unconnected()
    }
}
