//! Progress of the work queue, sampled by the worker that reconciles.
//!
//! Owns the rate at which attempts end, and the line about a drain once a minute. Must never read the queue itself: the cost of a
//! sample is the same whatever waits.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info};

use crate::metrics::Metrics;
use crate::store::{Drain, Store, StoreError};
use rolekeeper_domain::plural::noun;

/// Interval of samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Period of the rate, and interval of the line about a drain.
const RATE_OVER: Duration = Duration::from_mins(1);
/// Least number of waiting users that is a drain.
const LEAST: i64 = 100;

/// Samples the work queue where this worker reconciles.
#[derive(Clone, Debug)]
pub(super) struct DrainSamples {
    store: Store,
    metrics: Arc<Metrics>,
}

impl DrainSamples {
    /// Samples of this database, shown by these metrics.
    pub(super) fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    /// Samples until dropped. A failure leaves the last sample, which soon no longer counts.
    pub(super) async fn run(&self) -> Infallible {
        let mut timer = tokio::time::interval(SAMPLE_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut ended, mut logged_at) = (Ended::default(), Instant::now());
        loop {
            timer.tick().await;
            let now = Instant::now();
            ended.note(now, self.metrics.reconcile.attempts_ended.get());
            let drain = match self.sample(ended.per_min()).await {
                Ok(drain) => drain,
                Err(why) => {
                    debug!("the progress of the work queue was not sampled: {why}");
                    continue;
                }
            };
            if is_drain(&drain) && now - logged_at >= RATE_OVER {
                logged_at = now;
                report(&drain);
            }
        }
    }

    async fn sample(&self, ended_per_min: f64) -> Result<Drain, StoreError> {
        let drain = Drain {
            waiting: self.store.waiting_users().await?,
            ended_per_min,
        };
        self.store.sample_drain(&drain).await?;
        Ok(drain)
    }
}

/// Whether more users wait than attempts end in a minute, and not only a few.
fn is_drain(drain: &Drain) -> bool {
    drain.waiting >= LEAST && drain.waiting as f64 > drain.ended_per_min
}

fn report(drain: &Drain) {
    let waits = noun(drain.waiting, "user waits", "users wait");
    let (users, per_minute) = (drain.waiting, drain.ended_per_min.round());
    if let Some(remaining) = drain.remaining() {
        info!(
            users,
            per_minute,
            remaining_s = remaining.as_secs(),
            "drain: {users} {waits} for an attempt, {per_minute} a minute are done, {} min remain at this rate",
            remaining.as_secs().div_ceil(60)
        );
    } else {
        info!(
            users,
            "drain: {users} {waits} for an attempt, and no attempt ended in the last minute"
        );
    }
}

/// Ended attempts at each sample of the last minute.
#[derive(Debug, Default)]
struct Ended(VecDeque<(Instant, u64)>);

impl Ended {
    fn note(&mut self, at: Instant, ended: u64) {
        self.0.push_back((at, ended));
        // The oldest sample stays just outside the period, so that the rate covers all of it.
        while self.0.get(1).is_some_and(|(next, _)| at - *next >= RATE_OVER) {
            self.0.pop_front();
        }
    }

    fn per_min(&self) -> f64 {
        match (self.0.front(), self.0.back()) {
            (Some((from, before)), Some((to, after))) if to > from => {
                (after - before) as f64 / (*to - *from).as_secs_f64() * RATE_OVER.as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let (mut ended, start) = (Ended::default(), Instant::now());
        let mut rates = Vec::new();
        for tick in 0..=12 {
            // 50 in each tick of the first minute, none in the second.
            ended.note(start + SAMPLE_EVERY * tick, u64::from(tick.min(6)) * 50);
            rates.push(ended.per_min().round());
        }
        let expected: [f64; 13] = [
            0., 300., 300., 300., 300., 300., 300., 250., 200., 150., 100., 50., 0.,
        ];
        assert_eq!(rates, expected);
    }

    #[test]
    fn a_drain_is_more_than_a_minute_of_work() {
        let of = |waiting, ended_per_min| Drain {
            waiting,
            ended_per_min,
        };
        assert!(is_drain(&of(5_000, 1_000.0)) && is_drain(&of(100, 0.0)));
        assert!(!is_drain(&of(99, 0.0)) && !is_drain(&of(900, 1_000.0)));
        assert_eq!(of(5_000, 1_000.0).remaining(), Some(Duration::from_mins(5)));
        assert_eq!(of(5_000, 0.0).remaining(), None);
        assert_eq!(of(0, 0.0).remaining(), None);
    }
}
