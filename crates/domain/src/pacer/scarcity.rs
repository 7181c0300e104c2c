//! Spaces attempts while other clients use up the tenant's bucket.
//!
//! Owns the distance between attempts, which lets the bucket gain the calls of a whole attempt. Must never trust
//! forever a header that reports an empty bucket: it may be wrong.

use std::time::Duration;

/// Number of consecutive reads whose headers are trusted when they report an empty bucket. After these the write is
/// sent.
const BELIEVED: u32 = 3;
/// Longest distance between attempts.
const LONGEST_APART: Duration = Duration::from_secs(30);
/// The same limit in fills of the bucket: longer waiting does not fill a bucket that is still empty.
const FILLS_APART: u32 = 10;
/// Factor on the distance after each write that got a response.
const EASING: f64 = 0.6;

/// State of the distance between attempts.
#[derive(Debug, Default)]
pub(super) struct Scarcity {
    apart: Duration,
    in_a_row: u32,
}

impl Scarcity {
    /// Called when a read left no call for its write. Returns how long to hold all attempts; `None` if the write must
    /// be sent anyway. `least` is the time in which an attempt's calls refill, `fill` that in which the bucket fills.
    pub(super) fn nothing_left(&mut self, least: Duration, fill: Duration) -> Option<Duration> {
        if self.in_a_row >= BELIEVED {
            return None;
        }
        self.in_a_row += 1;
        self.apart = (self.apart * 2)
            .max(least)
            .min(LONGEST_APART)
            .min(fill * FILLS_APART);
        Some(self.apart)
    }

    /// Called when a write follows a read that left no call for it.
    pub(super) fn spaced(&mut self, least: Duration) {
        self.apart = self.apart.max(least);
    }

    /// Called when a write got a response. Returns how long to hold all attempts.
    pub(super) fn written(&mut self, least: Duration) -> Duration {
        self.in_a_row = 0;
        self.apart = self.apart.mul_f64(EASING);
        if self.apart < least {
            self.apart = Duration::ZERO;
        }
        self.apart
    }

    /// Called when a call was refused: increases the distance between attempts, if there is one.
    pub(super) fn refused(&mut self) {
        self.in_a_row = 0;
        self.apart = (self.apart * 2).min(LONGEST_APART);
    }
}
