//! What a client without rights may see of an error of the bus.
//!
//! Owns the text for `/readyz`. Must never show what the server or the client library said: that goes to the log. A permission
//! that is missing is shown, since its subject tells nothing of the data.

use super::permission::refusal;
use super::{BusError, ReadError};

impl BusError {
    /// A short reason, without addresses or what the server said.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Settings(_) => "the settings of NATS cannot be used; the log has the reason".to_owned(),
            Self::JetStream { why, .. } => {
                refusal(why).unwrap_or_else(|| "JetStream is unavailable; the log has the reason".to_owned())
            }
            Self::NoStream(_) | Self::OldServer(_) => self.to_string(),
        }
    }
}

impl ReadError {
    /// A short reason, without what the server said.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Ended(why) => {
                refusal(why).unwrap_or_else(|| "the consumer ended; the log has the reason".to_owned())
            }
            Self::Missed { .. } | Self::Behind(_) | Self::BatchTooLarge(_) => self.to_string(),
        }
    }
}
