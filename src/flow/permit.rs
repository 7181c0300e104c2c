//! Permission to make calls, from the tenant's single pacer.
//!
//! Owns the clock of the pacer and the waiting. Must never make a call without permission, and never keep permission
//! that an attempt did not use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use rolekeeper_domain::pacer::{self, CallKind, MAX_RESERVE, Pacer, RateHeaders, RatePlan, Unused};

/// The only source of permits.
#[derive(Debug)]
pub(super) struct RateLimiter {
    pacer: Mutex<Pacer>,
    started: Instant,
}

/// Permission for one attempt. The unused part is returned when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    rate_limiter: Arc<RateLimiter>,
    reserved: Option<pacer::Permit>,
    read: bool,
    written: bool,
    /// The last call that was made, and whether Auth0 did what it asked.
    last: Option<(CallKind, bool)>,
}

impl RateLimiter {
    pub(super) fn new(plan: RatePlan, reserve: f64) -> Arc<Self> {
        let pacer = Mutex::new(Pacer::new(plan, reserve, Duration::ZERO));
        Arc::new(Self {
            pacer,
            started: Instant::now(),
        })
    }

    /// For a command beside the worker: half of what the limit `reserve` leaves to rolekeeper, so the worker's calls come first.
    pub(super) fn beside_the_worker(plan: RatePlan, reserve: f64) -> Arc<Self> {
        let reserve = (1.0 - (1.0 - reserve) / 2.0).min(MAX_RESERVE);
        Self::new(plan.of_reads(), reserve)
    }

    /// Changes the share of the rate limit that is left for other clients.
    pub(super) fn set_reserve(&self, reserve: f64) {
        self.lock().set_reserve(self.started.elapsed(), reserve);
    }

    /// Waits until an attempt is allowed. Safe to cancel.
    pub(super) async fn acquire(self: &Arc<Self>) -> Permit {
        loop {
            match self.try_acquire() {
                Ok(permit) => return permit,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Permission for an attempt that is allowed now; otherwise how long to wait.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Result<Permit, Duration> {
        let reserved = self.lock().take_attempt(self.started.elapsed())?;
        Ok(Permit {
            rate_limiter: Arc::clone(self),
            reserved: Some(reserved),
            read: false,
            written: false,
            last: None,
        })
    }

    /// Time in which the calls of this many attempts refill, at most the time in which a quarter of the emptiest bucket
    /// does: no call is lost to a full bucket meanwhile.
    pub(super) fn time_of(&self, attempts: u32) -> Duration {
        let pacer = self.lock();
        (pacer.attempt_time() * attempts).min(pacer.refill_interval() / 4)
    }

    /// Time until an attempt is allowed that records alone asked for.
    pub(super) fn until_record_attempt(&self) -> Duration {
        self.lock().until_record_attempt(self.started.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Pacer> {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Notes that records alone asked for this attempt.
    pub(super) fn by_record(&mut self) {
        if let Some(reserved) = &mut self.reserved {
            self.rate_limiter.lock().by_record(reserved);
        }
    }

    /// Notes that Auth0 did what the last call asked.
    pub(super) fn accept(&mut self, kind: CallKind) {
        self.last = Some((kind, true));
    }

    /// The last call that was made, and whether Auth0 did what it asked.
    pub(super) fn last(&self) -> Option<(CallKind, bool)> {
        self.last
    }

    /// Passes a response to the pacer.
    pub(super) fn answered(&mut self, kind: CallKind, headers: &RateHeaders, limited: bool) {
        match kind {
            CallKind::Read => self.read = true,
            CallKind::Write => self.written = true,
        }
        self.last = Some((kind, false));
        let now = self.rate_limiter.started.elapsed();
        let mut pacer = self.rate_limiter.lock();
        if limited {
            pacer.limited(now, crate::clock::now().unix_timestamp(), kind, headers);
        } else {
            pacer.answered(now, kind, headers);
        }
    }

    /// Waits for permission to restart the attempt, which reads the profile again. Safe to cancel.
    pub(super) async fn once_more(&mut self) {
        let rate_limiter = Arc::clone(&self.rate_limiter);
        let mut next = rate_limiter.acquire().await;
        next.last = self.last;
        if self.reserved.as_ref().is_some_and(pacer::Permit::is_by_record) {
            next.by_record();
        }
        *self = next;
    }

    /// Whether the write should wait for calls to refill, as long as the profile may age.
    pub(super) fn write_waits(&self, headers: &RateHeaders) -> bool {
        self.rate_limiter.lock().write_waits(headers)
    }

    /// Whether the write may follow the read whose response had these `headers`.
    pub(super) fn write_may_follow(&self, headers: &RateHeaders) -> bool {
        let now = self.rate_limiter.started.elapsed();
        self.rate_limiter.lock().write_may_follow(now, headers)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let unused = match (self.read, self.written) {
            (_, true) => return,
            (true, false) => Unused::Write,
            (false, false) => Unused::Both,
        };
        if let Some(reserved) = self.reserved.take() {
            let now = self.rate_limiter.started.elapsed();
            self.rate_limiter.lock().refund(now, reserved, unused);
        }
    }
}
