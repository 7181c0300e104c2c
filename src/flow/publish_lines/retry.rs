//! Repeats a delivery until the stream has it.
//!
//! Owns the time of the last repeat. Must never repeat a delivery after the stream may have forgotten its message ids: it would be
//! stored twice.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::bus::PublishError;
use crate::flow::backoff::Reconnect;

/// The limits of the repeats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Longest time for which a delivery is repeated.
    pub(super) retry_for: Duration,
    /// Longest time after the first message was sent.
    pub(super) window: Duration,
}

/// Delivers until it succeeds, or until a limit. `deliver` notes in `first_sent` when a message may have been sent first. Returns how
/// many messages the stream already had; 0 if an earlier try may have stored them.
pub(super) async fn retried(
    limits: Limits,
    first_sent: &mut Option<Instant>,
    mut deliver: impl AsyncFnMut(&mut Option<Instant>) -> Result<u64, PublishError>,
) -> Result<u64, PublishError> {
    let (mut delays, since) = (Reconnect::new(), Instant::now());
    let mut why = match deliver(first_sent).await {
        Ok(known) => return Ok(known),
        Err(why) => why,
    };
    loop {
        let delay = delays.next_delay();
        let latest = first_sent.map(|at| at + limits.window);
        let is_late = latest.is_some_and(|latest| Instant::now() + delay >= latest);
        if is_late || why.needs_operator() || since.elapsed() >= limits.retry_for {
            return Err(why);
        }
        tracing::debug!("{why}; retrying");
        sleep(delay).await;
        let is_first = first_sent.is_none();
        let again = deliver(first_sent);
        let result = match latest {
            Some(latest) => timeout_at(latest, again).await,
            None => Ok(again.await),
        };
        match result {
            Ok(Ok(known)) => return Ok(if is_first { known } else { 0 }),
            Ok(Err(newer)) => why = newer,
            Err(_too_late) => return Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::APP_EVENTS;

    const LIMITS: Limits = Limits {
        retry_for: Duration::from_hours(24),
        window: Duration::from_mins(10),
    };

    fn failed() -> PublishError {
        PublishError::because(format!("{APP_EVENTS} does not respond"))
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_repeated_after_the_duplicate_window() {
        for hangs in [false, true] {
            let (began, mut first, mut last) = (Instant::now(), None, None);
            let ended = retried(LIMITS, &mut first, async |sent: &mut Option<Instant>| {
                last = Some(Instant::now());
                if hangs && sent.is_some() {
                    std::future::pending::<()>().await;
                }
                sent.get_or_insert_with(Instant::now);
                Err(failed())
            });
            assert!(ended.await.is_err());
            let (first, last) = (first.expect("sent"), last.expect("tried"));
            assert_eq!(first, began);
            assert!(last - first < LIMITS.window && began.elapsed() <= LIMITS.window);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_was_never_reached_is_tried_for_longer() {
        let (began, mut first) = (Instant::now(), None);
        let known = retried(LIMITS, &mut first, async |sent: &mut Option<Instant>| {
            if began.elapsed() < Duration::from_hours(3) {
                return Err(failed());
            }
            sent.get_or_insert_with(Instant::now);
            Ok(7)
        });
        assert_eq!(known.await.ok(), Some(7));
    }
}
