//! The body of a write that is only sent in time.
//!
//! Owns the check at the moment when a connection takes the request, so that a wait for a connection counts too. Must never
//! send a part of a body: the server applies a whole one only.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// The time of a write was over before a connection took it: the profile on which it was decided is too old.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too much time has passed since the profile was read")]
pub(super) struct TooLate;

/// A body that fails instead of being sent after its time.
pub(super) struct TimedBody {
    /// None once it was given to a connection.
    bytes: Option<Bytes>,
    until: Instant,
}

impl TimedBody {
    pub(super) fn new(bytes: Bytes, until: Instant) -> Self {
        Self {
            bytes: Some(bytes),
            until,
        }
    }
}

/// Returns whether a write may be sent now.
pub(super) fn in_time(until: Instant) -> Result<(), TooLate> {
    if Instant::now() <= until {
        Ok(())
    } else {
        Err(TooLate)
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        let until = self.until;
        let bytes = self.bytes.take();
        Poll::Ready(bytes.map(|bytes| in_time(until).map(|()| Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
