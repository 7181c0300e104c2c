//! Figures from the tenant's call log.
//!
//! Owns the assignment of calls to clients. A request for a token is not a call of the Management API and does not count for
//! its rate limit.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{Call, Endpoint, Tenant};

/// Calls of one client of the Management API.
#[derive(Clone, Debug)]
pub(crate) struct Calls(Vec<Call>);

impl Calls {
    /// Returns the calls of `client` so far, in the order in which the tenant handled them.
    pub(crate) fn of(tenant: &Tenant, client: &str) -> Self {
        let ours = |call: &&Call| call.client.as_deref() == Some(client) && call.endpoint != Endpoint::Token;
        Self(tenant.with_calls(|calls| calls.iter().filter(ours).cloned().collect()))
    }

    /// Returns the calls after the first `known`.
    pub(crate) fn since(self, known: usize) -> Self {
        Self(self.0.into_iter().skip(known).collect())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the number of calls that the rate limit refused.
    pub(crate) fn limited(&self) -> usize {
        self.0.iter().filter(|call| call.status == Some(429)).count()
    }

    /// Returns the number of accepted calls.
    pub(crate) fn passed(&self) -> usize {
        self.count() - self.limited()
    }

    /// Returns the number of calls that changed the tenant's state.
    pub(crate) fn writes(&self) -> usize {
        self.0.iter().filter(|call| call.applied).count()
    }

    /// Returns the number of calls about a user after the first write about that user.
    pub(crate) fn after_own_write(&self) -> usize {
        let mut written = std::collections::BTreeSet::new();
        let after = self.0.iter().filter(|call| {
            let after = written.contains(&call.user_id);
            if call.applied {
                written.insert(call.user_id.clone());
            }
            after
        });
        after.count()
    }

    /// Returns the calls between the first and the last of `others`.
    pub(crate) fn during(self, others: &Self) -> Self {
        let Some((first, last)) = others.0.first().zip(others.0.last()) else {
            return Self(vec![]);
        };
        let meanwhile = self
            .0
            .into_iter()
            .filter(|call| (first.at..=last.at).contains(&call.at));
        Self(meanwhile.collect())
    }

    /// Returns the time from the first to the last call.
    pub(crate) fn span(&self) -> Duration {
        let span = self
            .0
            .first()
            .zip(self.0.last())
            .map(|(first, last)| last.at - first.at);
        span.and_then(|span| span.try_into().ok()).unwrap_or_default()
    }
}
