//! Looks at a tenant whose bucket other clients use up.
//!
//! Owns how far apart looks are kept then, so that the bucket gains what a whole look costs. Must never believe
//! for ever that nothing is left: a header may lie.

use std::time::Duration;

/// Reads in a row whose headers are believed when they say that nothing is left. After these the write is sent.
const BELIEVED: u32 = 3;
/// Longest time that looks are kept apart.
const LONGEST_APART: Duration = Duration::from_secs(30);
/// That time in fills of the bucket: one that stays empty longer is not filled by more waiting.
const FILLS_APART: u32 = 10;
/// What remains of the time between looks after each write that was answered.
const EASING: f64 = 0.6;

/// How scarce calls are.
#[derive(Debug, Default)]
pub(super) struct Scarcity {
    apart: Duration,
    in_a_row: u32,
}

impl Scarcity {
    /// A read left nothing for its write. Returns how long to hold all looks; none when the write is to be sent
    /// all the same. `least` is the time in which a look's calls come in, `fill` that in which the bucket fills.
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

    /// A write was answered. Returns how long to hold all looks.
    pub(super) fn written(&mut self, least: Duration) -> Duration {
        self.in_a_row = 0;
        self.apart = self.apart.mul_f64(EASING);
        if self.apart < least {
            self.apart = Duration::ZERO;
        }
        self.apart
    }

    /// A call was refused: looks come further apart, where they are kept apart already.
    pub(super) fn refused(&mut self) {
        self.in_a_row = 0;
        self.apart = (self.apart * 2).min(LONGEST_APART);
    }
}
