//! The phases of a connection.
//!
//! Owns the time limit of each phase, and how long a stop waits.

use std::time::Duration;

use tokio::time::Instant;

/// Longest time to the end of a request's header, from its first byte, or from the start of the connection.
const HEADER_WITHIN: Duration = Duration::from_secs(10);
/// Longest time from a request's header to its response.
const RESPONSE_WITHIN: Duration = Duration::from_mins(1);
/// Longest time between a response and the first byte of the next request. It is longer than load balancers keep a
/// connection, so that the balancer closes it.
const IDLE_WITHIN: Duration = Duration::from_secs(75);
/// How long a stop waits for requests and responses that are partly transferred.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(1);
/// The state of a connection, with the time at which it began.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// The connection waits for the rest of a request's header.
    Header(Instant),
    /// The connection waits for the response of a handler.
    Response(Instant),
    /// The connection waits for the client to read the response, and to send the next request.
    Idle(Instant),
}

impl Phase {
    /// Returns the time at which the connection is closed.
    pub(super) fn ends(self, stopped: Option<Instant>) -> Instant {
        let ends = match self {
            Self::Header(since) => since + HEADER_WITHIN,
            Self::Response(since) => since + RESPONSE_WITHIN,
            Self::Idle(since) => since + IDLE_WITHIN,
        };
        match (self, stopped) {
            // A stop does not shorten the wait: the handler's own deadlines and the grace period bound a request in flight.
            (Self::Response(_), _) | (_, None) => ends,
            (_, Some(stopped)) => ends.min(stopped + STOP_WITHIN),
        }
    }
}
