//! The body of a request, with a deadline.
//!
//! Owns how long a client may take to send it. Must never let a truncated body look complete: it ends with an error.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::phase::STOP_WITHIN;

/// Longest time to the end of a body.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// The reason why a body is incomplete.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenOff {
    /// The client stopped sending, or sent an invalid body.
    #[error(transparent)]
    Client(#[from] hyper::Error),
    /// The client took too long, or the worker stops.
    #[error("the body did not arrive in time")]
    Late,
}

/// A body that ends with an error when it does not arrive in time.
pub(super) struct Guarded {
    inner: Incoming,
    deadline: Pin<Box<Sleep>>,
    /// Completes when the worker stops; none afterwards.
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Guarded {
    /// Returns the body for a handler.
    pub(super) fn body(inner: Incoming, stop: CancellationToken) -> Body {
        if inner.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self {
            inner,
            deadline: Box::pin(sleep(BODY_WITHIN)),
            stop: Some(Box::pin(stop.cancelled_owned())),
        })
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        // The deadline is checked first: a client that sends single bytes slowly must not extend it.
        if let Some(stop) = &mut self.stop
            && stop.as_mut().poll(cx).is_ready()
        {
            self.stop = None;
            let soon = self.deadline.deadline().min(Instant::now() + STOP_WITHIN);
            self.deadline.as_mut().reset(soon);
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BrokenOff::Late)));
        }
        Pin::new(&mut self.inner)
            .poll_frame(cx)
            .map_err(BrokenOff::Client)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
