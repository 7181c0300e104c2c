//! How many attempts may be in flight.
//!
//! Owns the number: the rate of attempts times the measured time of their calls, with room for our own work, between fixed
//! bounds. The pacer alone decides when an attempt starts; this bound keeps memory and the load on Postgres finite where
//! Auth0 or Postgres is slow. Must never let a slow Postgres raise it: more attempts would only make their profiles older.

use std::time::Duration;

/// Fewest attempts that the measured times can request; enough for every plan up to 16 calls a second.
const LEAST: f64 = 16.0;
/// Most attempts of any plan: each may hold a profile of some tens of kilobytes.
const MOST: f64 = 512.0;
/// Time of an attempt in which the rate must be kept up, however slow Auth0 is: the most attempts of a plan follow from it.
const KEPT_UP_FOR: f64 = 4.0;
/// Time of an attempt that is our own work, in seconds; generous, since batches wait for each other.
const OWN_WORK: f64 = 0.5;
/// Shortest time between two cuts: attempts in flight at the first one say nothing about its effect.
const CUT_SERVES: Duration = Duration::from_secs(2);
/// Calls of an attempt.
const CALLS: f64 = 2.0;
/// Weight of the newest call in the mean.
const NEWEST: f64 = 1.0 / 32.0;
/// Fewest attempts while profiles become too old.
const LEAST_CUT: f64 = 4.0;
/// Share of the bound regained by each attempt that ends in time.
const REGAINED: f64 = 1.005;

/// The bound on attempts in flight.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    attempts_per_s: f64,
    /// Mean time of a call, in seconds.
    call: f64,
    /// Share of the bound that is used: 1 unless profiles became too old before they could be written.
    cut: f64,
    cut_at: Option<Duration>,
}

impl InFlight {
    /// The bound at a rate of attempts. Until a call was measured, calls count as slow.
    #[must_use]
    pub fn new(attempts_per_s: f64) -> Self {
        Self {
            attempts_per_s,
            call: 1.0,
            cut: 1.0,
            cut_at: None,
        }
    }

    /// Most attempts that can ever be in flight at this rate.
    #[must_use]
    pub fn most(&self) -> u32 {
        whole((self.attempts_per_s * KEPT_UP_FOR).clamp(LEAST, MOST))
    }

    /// Attempts that may be in flight now.
    #[must_use]
    pub fn allowed(&self) -> u32 {
        let needed = self.attempts_per_s * (CALLS * self.call + OWN_WORK);
        let bound = needed.clamp(LEAST, f64::from(self.most()));
        whole((bound * self.cut).max(LEAST_CUT))
    }

    /// Learns the time of a call.
    pub fn answered(&mut self, took: Duration) {
        self.call += NEWEST * (took.as_secs_f64() - self.call);
    }

    /// An attempt ended in time.
    pub fn in_time(&mut self) {
        self.cut = (self.cut * REGAINED).min(1.0);
    }

    /// A profile became too old before it could be written: Postgres cannot keep up with this many attempts. `now` is of
    /// one monotonic clock.
    pub fn too_late(&mut self, now: Duration) {
        if self.cut_at.is_some_and(|at| now < at + CUT_SERVES) {
            return;
        }
        self.cut_at = Some(now);
        self.cut = (self.cut / 2.0).max(LEAST_CUT / MOST);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 4 and 512"
)]
fn whole(number: f64) -> u32 {
    number.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(calls_per_s: f64, call: Duration) -> InFlight {
        let mut in_flight = InFlight::new(calls_per_s / 2.0);
        (0..500).for_each(|_| in_flight.answered(call));
        in_flight
    }

    #[test]
    fn it_is_rate_times_time_between_its_bounds() {
        let ms = Duration::from_millis;
        for (calls_per_s, call, allowed) in [
            (2.0, ms(100), 16),
            (16.0, ms(300), 16),
            (1_000.0, ms(20), 270),
            (1_000.0, ms(100), 350),
            (1_000.0, ms(5_000), 512),
            (100.0, ms(5_000), 200),
            (5_000.0, ms(100), 512),
            (1_000.0, ms(0), 250),
        ] {
            let of = measured(calls_per_s, call);
            assert_eq!(of.allowed(), allowed, "{calls_per_s} a second, {call:?}");
            assert!(of.allowed() <= of.most());
        }
        assert_eq!(InFlight::new(1.0).most(), 16, "a small plan is bounded as before");
    }

    #[test]
    fn it_follows_a_tenant_that_slows_down_and_recovers() {
        let mut of = measured(200.0, Duration::from_millis(20));
        let fast = of.allowed();
        (0..500).for_each(|_| of.answered(Duration::from_secs(5)));
        assert_eq!(of.allowed(), of.most());
        (0..500).for_each(|_| of.answered(Duration::from_millis(20)));
        assert_eq!(of.allowed(), fast);
    }

    #[test]
    fn old_profiles_halve_it_and_attempts_in_time_restore_it() {
        let mut of = measured(1_000.0, Duration::from_millis(100));
        let whole = of.allowed();
        // Many profiles of the same moment count once.
        (0..20).for_each(|n| of.too_late(Duration::from_millis(n * 50)));
        assert_eq!(of.allowed(), whole / 2);
        (1..20).for_each(|n| of.too_late(Duration::from_secs(n * 3)));
        assert_eq!(of.allowed(), 4);
        (0..2_000).for_each(|_| of.in_time());
        assert_eq!(of.allowed(), whole);
    }
}
