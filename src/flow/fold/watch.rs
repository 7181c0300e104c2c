//! The lag of the fold, measured from outside its leaderships.
//!
//! Owns the gauges of lag and the readiness of a fold that no longer moves. Must never depend on a commit or a
//! delivery: it shows their absence.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::stage::Fold;
use crate::bus::StreamState;
use crate::metrics::{Later, Stream};
use crate::store::Cursor;
use rolekeeper_domain::date;
use rolekeeper_domain::plural::noun;

/// Interval at which the end of the stream is read.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(15);
/// A fold that has not moved for this long while messages wait is not ready.
const BLOCKED_AFTER: Duration = Duration::from_secs(30);

/// The position of the fold; empty while another worker folds.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<Option<Beat>>);

#[derive(Clone, Copy, Debug)]
struct Beat {
    seq: i64,
    stored_ns: i64,
    /// Since when messages are known to wait behind it.
    waiting_since: Option<Instant>,
    /// Whether it was reported as not ready.
    blocked: bool,
}

impl Pulse {
    fn lock(&self) -> MutexGuard<'_, Option<Beat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the position of the cursor. Returns whether the fold was reported as blocked before.
    pub(super) fn at(&self, cursor: &Cursor) -> bool {
        let mut beat = self.lock();
        let before = beat.filter(|before| before.seq == cursor.last_seq);
        let was_blocked = beat.is_some_and(|before| before.blocked);
        *beat = Some(Beat {
            seq: cursor.last_seq,
            stored_ns: cursor.last_stored_ns,
            waiting_since: before.and_then(|before| before.waiting_since),
            blocked: before.is_some_and(|before| before.blocked),
        });
        was_blocked && before.is_none()
    }

    /// Notes the end of the stream, as far as a leadership has seen it.
    pub(super) fn ends_at(&self, last_seq: u64) {
        self.observe(Some(last_seq));
    }

    /// Notes that this worker does not fold.
    fn rest(&self) {
        *self.lock() = None;
    }

    /// How long messages have waited while the cursor did not move; none while this worker does not fold.
    fn observe(&self, last_seq: Option<u64>) -> Option<(Beat, Duration)> {
        let mut beat = self.lock();
        let beat = beat.as_mut()?;
        match last_seq {
            Some(last) if last <= beat.seq.unsigned_abs() => beat.waiting_since = None,
            Some(_) => drop(beat.waiting_since.get_or_insert_with(Instant::now)),
            // Without a new end, waiting messages are taken to wait still.
            None => {}
        }
        let waits = beat
            .waiting_since
            .map(|since| since.elapsed())
            .unwrap_or_default();
        beat.blocked |= waits >= BLOCKED_AFTER;
        Some((*beat, waits))
    }
}

impl Fold {
    /// Reads the end of the stream at each interval, until the stop is requested.
    pub(super) async fn watch(&self, pulse: &Pulse, stop: &CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(POLL_INTERVAL))
            .await
            .is_some()
        {
            if pulse.lock().is_none() {
                continue;
            }
            let state = self.bus.stream_state(self.source.stream()).await.ok();
            if let Some(state) = &state {
                self.show_stream(state);
            }
            if let Some((beat, waits)) = pulse.observe(state.as_ref().map(|state| state.last_seq)) {
                self.show_lag(&beat, waits, state.map(|state| state.last_seq));
            }
        }
    }

    fn show_lag(&self, beat: &Beat, waits: Duration, last_seq: Option<u64>) {
        let series = Stream(self.source.stream());
        self.metrics.fold.stalled.of(series).set(waits.as_secs_f64());
        let Some(last_seq) = last_seq else { return };
        let lag = last_seq.saturating_sub(beat.seq.unsigned_abs());
        self.metrics.fold_lag_messages.of(series).set(lag.cast_signed());
        let age = (crate::clock::now() - date::of_unix_ns(beat.stored_ns)).as_seconds_f64();
        let age = if lag == 0 || beat.stored_ns == 0 {
            waits.as_secs_f64()
        } else {
            age
        };
        self.metrics.fold_lag_seconds.of(series).set(age.max(0.0));
        let stage = self.source.stage();
        let is_ready = || self.readiness.stages().get(stage).is_some_and(Result::is_ok);
        if beat.blocked && is_ready() {
            let seconds = waits.as_secs();
            self.readiness.not_ready(
                stage,
                format!(
                    "no message was folded for {seconds} s; {lag} {} behind sequence {}",
                    noun(lag, "message waits", "messages wait"),
                    beat.seq
                ),
            );
        }
    }

    /// Shows how full the stream is, and its newest message.
    pub(super) fn show_stream(&self, state: &StreamState) {
        let series = Stream(self.source.stream());
        if state.max_bytes > 0 {
            let free = 1.0 - state.bytes as f64 / state.max_bytes as f64;
            self.metrics.stream_headroom.of(Later(series)).set(free.max(0.0));
        }
        if state.last_seq > 0 {
            self.metrics
                .stream_last_message
                .of(Later(series))
                .set(state.last_stored_ns as f64 / 1e9);
        }
    }

    /// Clears the lag: another worker folds, or none, so the last value is no longer true.
    pub(super) fn forget_lag(&self, pulse: &Pulse) {
        let series = Stream(self.source.stream());
        pulse.rest();
        self.metrics.fold_lag_messages.of(series).set(0);
        self.metrics.fold_lag_seconds.of(series).set(0.0);
        self.metrics.fold.stalled.of(series).set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(last_seq: i64) -> Cursor {
        Cursor {
            created_ns: 7,
            last_seq,
            last_stored_ns: 70,
            epoch: 1,
            newest_stored_ns: 0,
            last_hash: None,
            dedup_until_ns: 0,
            duplicate_window_s: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cursor_is_blocked_if_it_stands_while_messages_wait() {
        let pulse = Pulse::default();
        assert!(pulse.observe(Some(9)).is_none(), "another worker folds");
        pulse.at(&cursor(5));
        tokio::time::advance(Duration::from_hours(1)).await;
        for (last_seq, blocked, after) in [
            (Some(5), false, 15),
            (Some(9), false, 15),
            (None, false, 15),
            (None, true, 1),
        ] {
            let (beat, _) = pulse.observe(last_seq).expect("this worker folds");
            assert_eq!(beat.blocked, blocked, "{last_seq:?}");
            tokio::time::advance(Duration::from_secs(after)).await;
        }
        assert!(!pulse.at(&cursor(5)), "a new leadership alone changes nothing");
        assert!(pulse.at(&cursor(6)), "the message was folded");
        let (beat, waits) = pulse.observe(Some(9)).expect("this worker folds");
        assert_eq!((beat.blocked, waits), (false, Duration::ZERO));
    }
}
