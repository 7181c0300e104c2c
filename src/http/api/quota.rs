//! The quota of requests of each user: a burst, and a continuous rate.
//!
//! Owns the count of each user, in bounded memory. Must never make a user wait because of another user's requests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use rolekeeper_domain::ids::UserId;

/// Most users in each of the two generations, about 10 MB in all. If more users arrive within the time that a used-up quota
/// needs to refill, the oldest users are forgotten and get a full quota.
const MAX_USERS: usize = 50_000;

/// The quotas of all users.
#[derive(Debug)]
pub(super) struct Quotas {
    /// Time that one request costs.
    cost: Duration,
    /// Most time that a user may owe: the worth of a full quota.
    full: Duration,
    users: Mutex<Generations>,
}

/// The time at which each user's quota is full again. An entry older than a generation is full for certain, and is dropped.
#[derive(Debug)]
struct Generations {
    young: HashMap<UserId<'static>, Instant>,
    old: HashMap<UserId<'static>, Instant>,
    born: Instant,
}

impl Quotas {
    pub(super) fn new(burst: u32, per_second: f64, now: Instant) -> Self {
        let cost = Duration::from_secs_f64(1.0 / per_second);
        Self {
            cost,
            full: cost * burst,
            users: Mutex::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
                born: now,
            }),
        }
    }

    /// Takes one request of the user's quota.
    ///
    /// # Errors
    /// The quota is used up; the value is the time until the next request.
    pub(super) fn take(&self, user: &UserId<'static>, now: Instant) -> Result<(), Duration> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.grow_older(now, self.full);
        let full_again = users.full_again(user).map_or(now, |at| at.max(now));
        let owed = full_again + self.cost - now;
        let too_much = owed.saturating_sub(self.full);
        if !too_much.is_zero() {
            return Err(too_much);
        }
        users.young.insert(user.clone(), full_again + self.cost);
        Ok(())
    }
}

impl Generations {
    fn grow_older(&mut self, now: Instant, full: Duration) {
        if now - self.born > full || self.young.len() >= MAX_USERS {
            self.old = std::mem::take(&mut self.young);
            self.born = now;
        }
    }

    fn full_again(&self, user: &UserId<'static>) -> Option<Instant> {
        self.young.get(user).or_else(|| self.old.get(user)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId<'static> {
        UserId::parse(name.to_owned()).unwrap()
    }

    #[test]
    fn each_user_has_a_burst_and_a_rate_of_their_own() {
        let start = Instant::now();
        let quotas = Quotas::new(5, 2.0, start);
        let taken = |name: &str, at: f64| quotas.take(&user(name), start + Duration::from_secs_f64(at));
        for _ in 0..5 {
            assert_eq!(taken("a", 0.0), Ok(()));
        }
        assert_eq!(taken("a", 0.0), Err(Duration::from_millis(500)));
        assert_eq!(taken("a", 0.25), Err(Duration::from_millis(250)));
        assert_eq!(taken("b", 0.25), Ok(()));
        assert_eq!(taken("a", 0.5), Ok(()));
        assert!(taken("a", 0.5).is_err());
        // Across several generations the rate holds: 2 a second, whatever the number of requests.
        let granted = (0_u32..1_000).filter(|n| taken("a", 1.0 + f64::from(*n) / 100.0).is_ok());
        assert!((20..=21).contains(&granted.count()));
        // After a long time the burst is available again, and no more.
        let granted = (0..20).filter(|_| taken("a", 100.0).is_ok());
        assert_eq!(granted.count(), 5);
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let start = Instant::now();
        let quotas = Quotas::new(10, 0.01, start);
        for n in 0..3 * MAX_USERS {
            assert_eq!(quotas.take(&user(&format!("auth0|{n}")), start), Ok(()));
        }
        let users = quotas.users.lock().unwrap();
        assert!(users.young.len() <= MAX_USERS && users.old.len() <= MAX_USERS);
    }
}
