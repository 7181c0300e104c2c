//! Leases of attempts that ended while Postgres did not respond: they are given back once it responds again.
//!
//! Owns when that happens; these users would otherwise wait for the end of the lease. Must never give back a lease whose attempt
//! may still write: only the attempt itself, or its claim, names a lease here, after its last call.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use super::dispatcher::Dispatcher;
use super::unreturned::Lease;
use crate::store::{Claim, StoreError};

/// Interval at which leases are given back, if there are any.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// The lease of a claim, to be given back no sooner than after `wait`.
    pub(super) fn lease_of(&self, claim: &Claim, wait: Duration) -> Lease {
        Lease {
            user: claim.user.as_str().to_owned(),
            id: claim.lease,
            not_before: Instant::now() + wait,
            until: Instant::now() + self.context.lease(),
        }
    }

    /// Notes a lease, whose attempt has ended.
    pub(super) fn give_back_later(&self, lease: Lease) {
        self.unreturned.all().push(lease);
    }

    /// Gives back all noted leases.
    pub(in crate::flow) async fn give_back(&self) -> Result<(), StoreError> {
        let leases: Vec<Lease> = {
            let mut all = self.unreturned.all();
            let now = Instant::now();
            all.retain(|one| one.until > now);
            all.clone()
        };
        if leases.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let left = leases.iter().map(|one| {
            let wait = one.not_before.saturating_duration_since(now);
            (one.user.as_str(), one.id, wait)
        });
        let (users, locked) = self.context.store.give_back(left).await?;
        // Others may have been noted meanwhile.
        let given = |one: &Lease| {
            leases
                .iter()
                .any(|given| given.id == one.id && given.user == one.user && !locked.contains(&one.user))
        };
        self.unreturned.all().retain(|one| !given(one));
        if users > 0 {
            info!(
                users,
                "requeued users whose attempt ended while Postgres did not respond"
            );
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Gives noted leases back until dropped: Postgres may be away for one connection only.
    pub(in crate::flow) async fn keep_giving_back(&self) -> Infallible {
        loop {
            tokio::time::sleep(GIVE_BACK_EVERY).await;
            if let Err(why) = self.give_back().await {
                debug!("users are still claimed by ended attempts: {why}");
            }
        }
    }
}
