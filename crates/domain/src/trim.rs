//! Decides which messages of a stream may be removed, and forecasts when the stream is full.
//!
//! Owns the arithmetic of trimming. Must never name a message that is not folded, nor the message at the cursor. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// Free share of the size limit below which trimming no longer waits for messages to be old.
const LOW: f64 = 0.25;
/// Free share after such a trim, so that not every round must trim.
const FREED: f64 = 0.375;
/// Number of past rounds that the forecast uses.
const ROUNDS: usize = 15;

/// A stream as trimming sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Sequence of the oldest message.
    pub first_seq: u64,
    /// Sequence of the newest message.
    pub last_seq: u64,
    /// Messages held.
    pub messages: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Size limit in bytes; `None` for no limit.
    pub max_bytes: Option<u64>,
    /// Sequence of the message at the cursor.
    pub cursor: u64,
    /// Last sequence that may be removed when space is needed: committed, and stored, long enough ago.
    pub if_needed: Option<u64>,
    /// Last sequence older than the retention of folded messages.
    pub by_age: Option<u64>,
    /// Last sequence that every durable consumer has acknowledged; `None` without such consumers.
    pub acknowledged: Option<u64>,
}

impl Seen {
    /// The first sequence to keep; `None` if nothing may be removed.
    #[must_use]
    pub fn first_to_stay(&self) -> Option<u64> {
        let by_age = self.after(self.by_age);
        let by_age = self
            .acknowledged
            .map_or(by_age, |seq| by_age.min(seq.saturating_add(1)));
        let first = by_age.max(self.room_to_make());
        (first > self.first_seq).then_some(first)
    }

    /// Free share of the size limit; `None` for no limit.
    #[must_use]
    pub fn left(&self) -> Option<f64> {
        let most = self.max_bytes? as f64;
        Some((1.0 - self.bytes as f64 / most).max(0.0))
    }

    /// Bytes that must stay, however much space is needed.
    #[must_use]
    pub fn held_bytes(&self) -> f64 {
        let first = self.after(self.if_needed).max(self.first_seq);
        (self.last_seq + 1).saturating_sub(first) as f64 * self.average()
    }

    fn room_to_make(&self) -> u64 {
        let (Some(left), Some(most)) = (self.left(), self.max_bytes) else {
            return 0;
        };
        if left >= LOW {
            return 0;
        }
        let bytes = most as f64 * (FREED - left);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of messages the stream holds"
        )]
        let messages = (bytes / self.average()).ceil() as u64;
        self.after(self.if_needed).min(self.first_seq + messages)
    }

    /// The sequence behind `seq`, at most the cursor's. The message at the cursor proves the identity of the stream.
    fn after(&self, seq: Option<u64>) -> u64 {
        seq.map_or(0, |seq| (seq + 1).min(self.cursor))
    }

    fn average(&self) -> f64 {
        (self.bytes as f64 / self.messages.max(1) as f64).max(1.0)
    }
}

/// Growth of the messages that must stay.
#[derive(Debug, Default)]
pub struct Growth(VecDeque<(Duration, f64)>);

impl Growth {
    /// Seconds until `held` bytes have grown to `most`, at the rate of the last rounds; infinite while they do not
    /// grow.
    pub fn full_in_seconds(&mut self, at: Duration, held: f64, most: Option<u64>) -> f64 {
        if self.0.len() > ROUNDS {
            self.0.pop_front();
        }
        let oldest = self.0.front().copied();
        self.0.push_back((at, held));
        let (Some((since, before)), Some(most)) = (oldest, most) else {
            return f64::INFINITY;
        };
        let grown = (held - before) / (at.saturating_sub(since)).as_secs_f64().max(f64::MIN_POSITIVE);
        if grown <= 0.0 {
            return f64::INFINITY;
        }
        (most as f64 - held).max(0.0) / grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen() -> Seen {
        Seen {
            first_seq: 101,
            last_seq: 1_100,
            messages: 1_000,
            bytes: 100_000,
            max_bytes: Some(1_000_000),
            cursor: 1_000,
            if_needed: Some(900),
            by_age: Some(200),
            acknowledged: None,
        }
    }

    #[test]
    fn what_goes_and_what_stays() {
        let with = |change: fn(&mut Seen)| {
            let mut seen = seen();
            change(&mut seen);
            seen
        };
        let full = |change: fn(&mut Seen)| {
            let mut seen = with(|seen| seen.max_bytes = Some(100_000));
            change(&mut seen);
            seen
        };
        for (what, seen, expected) in [
            ("what is old goes", seen(), Some(201)),
            ("nothing is old", with(|seen| seen.by_age = None), None),
            (
                "not acknowledged",
                with(|seen| seen.acknowledged = Some(150)),
                Some(151),
            ),
            (
                "acknowledged further",
                with(|seen| seen.acknowledged = Some(500)),
                Some(201),
            ),
            (
                "nothing acknowledged",
                with(|seen| seen.acknowledged = Some(0)),
                None,
            ),
            (
                "the cursor's own stays",
                with(|seen| seen.by_age = Some(2_000)),
                Some(1_000),
            ),
            ("room for three eighths", full(|_| {}), Some(476)),
            (
                "needed, not acknowledged",
                full(|seen| seen.acknowledged = Some(0)),
                Some(476),
            ),
            (
                "no more than may go",
                full(|seen| seen.if_needed = Some(300)),
                Some(301),
            ),
            (
                "nothing may go",
                full(|seen| (seen.if_needed, seen.by_age) = (None, None)),
                None,
            ),
            ("no limit", with(|seen| seen.max_bytes = None), Some(201)),
            (
                "a quarter is left",
                with(|seen| (seen.by_age, seen.bytes) = (None, 750_000)),
                None,
            ),
        ] {
            assert_eq!(seen.first_to_stay(), expected, "{what}");
        }
    }

    #[test]
    fn the_forecast_follows_what_must_stay() {
        let mut growth = Growth::default();
        let most = Some(7_200);
        assert!(growth.full_in_seconds(Duration::ZERO, 0.0, most).is_infinite());
        let seconds = growth.full_in_seconds(Duration::from_mins(1), 60.0, most);
        assert!((seconds - 7_140.0).abs() < 1e-6, "{seconds}");
        let mut growth = Growth::default();
        for round in 0..40 {
            assert!(
                growth
                    .full_in_seconds(Duration::from_mins(round), 500.0, most)
                    .is_infinite()
            );
        }
        assert!(growth.full_in_seconds(Duration::from_mins(40), 7_300.0, most) <= 0.0);
        assert!(
            Growth::default()
                .full_in_seconds(Duration::ZERO, 9.0, None)
                .is_infinite()
        );
    }

    proptest! {
        #[test]
        fn nothing_unfolded_goes(
            first_seq in 1_u64..100, held in 0_u64..1_000, bytes in 0_u64..10_000, most in 1_u64..10_000,
            cursor in 0_u64..1_200, needed in proptest::option::of(0_u64..2_000), age in proptest::option::of(0_u64..2_000),
            acknowledged in proptest::option::of(0_u64..2_000),
        ) {
            let seen = Seen {
                first_seq, last_seq: first_seq + held, messages: held, bytes, max_bytes: Some(most), cursor,
                if_needed: needed, by_age: age, acknowledged,
            };
            if let Some(first) = seen.first_to_stay() {
                prop_assert!(first <= cursor);
                prop_assert!(first <= needed.max(age).map_or(0, |seq| seq + 1));
            }
            prop_assert!(seen.held_bytes() >= 0.0);
        }
    }
}
