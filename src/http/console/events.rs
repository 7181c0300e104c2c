//! Notice of changes to open pages, as server-sent events.
//!
//! Owns that a page is told when to load itself again. Must never send data: the page is the same with and without it.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use super::state::Console;
use super::viewer::Viewer;

/// Length of one response; the browser then asks again. It is shorter than the listener keeps a connection after a response.
const LASTS: Duration = Duration::from_mins(1);
/// Time after which the browser asks again.
const RETRY: Duration = Duration::from_secs(2);

/// Sends an event for each reading of the pipe.
pub(super) async fn events(_viewer: Viewer, State(console): State<Console>) -> Response {
    let Ok(place) = console.watchers.clone().try_acquire_owned() else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many open consoles; pages load themselves again by hand\n",
        )
            .into_response();
    };
    let pipe = (*console.pipe).clone();
    let ends = Instant::now() + LASTS;
    let events = stream::unfold((pipe, place, true), move |(mut pipe, place, first)| async move {
        // The first event tells the page that it is connected.
        if first {
            pipe.mark_unchanged();
        } else if !matches!(timeout_at(ends, pipe.changed()).await, Ok(Ok(()))) {
            return None;
        }
        let event = Event::default().data("read").retry(RETRY);
        Some((Ok::<_, Infallible>(event), (pipe, place, false)))
    });
    Sse::new(events).into_response()
}
