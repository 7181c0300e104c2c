//! Texts about errors of NATS for clients without authorization.
//!
//! Owns the text for `/readyz`. Must never show a text of the server or the client library: that goes to the log. A missing
//! permission is shown, since its subject reveals nothing of the data.

use super::permission::refusal;
use super::{BusError, ReadError};

impl BusError {
    /// Returns a short reason, without addresses or texts of the server.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Settings(_) => "the settings of NATS cannot be used; the log has the reason".to_owned(),
            Self::Unconnected(why) => {
                refusal(why).unwrap_or_else(|| "not connected to NATS; the log has the reason".to_owned())
            }
            Self::JetStream { why, .. } => {
                refusal(why).unwrap_or_else(|| "JetStream is unavailable; the log has the reason".to_owned())
            }
            Self::NoStream(_) | Self::OldServer(_) => self.to_string(),
        }
    }
}

impl ReadError {
    /// Returns a short reason, without texts of the server.
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
