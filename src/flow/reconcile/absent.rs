//! An id that Auth0 does not know: it may be linked to another account.
//!
//! Owns the search for that account. Must never take the result of a search, which may be some seconds old, for a link: it only
//! names the account to read.

use time::OffsetDateTime;
use tracing::warn;

use super::Reconcile;
use super::attempt::AttemptError;
use crate::auth0::{CallError, Reply};
use crate::flow::backoff::base_delay;
use crate::metrics::{Call, CallResult};
use crate::store::leases::Failed;
use crate::store::{Claim, StoreError, leases};
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::pacer::Kind;

/// Attempts at an id that Auth0 does not know while the account to which a search says it is linked does not show it.
const SEARCHES: i32 = 3;

impl Reconcile {
    /// Handles the response that Auth0 does not know the id. It may be linked to another account, which a search finds and which
    /// is read then; otherwise the user is deleted. In both cases no id is linked to it any more.
    pub(super) async fn absent(&self, claim: &Claim, at: Option<OffsetDateTime>) -> Result<(), AttemptError> {
        let absent = self.store.absent(claim.user.as_str()).await?;
        if absent.has_aliases {
            self.end_links(claim, at).await?;
        }
        if absent.matters
            && claim.attempts < SEARCHES
            && let Some(primary) = self.find_primary(&claim.user).await?
        {
            return Ok(self.read_first(claim, &primary).await?);
        }
        Ok(self.gone(claim, at).await?)
    }

    /// Searches for the account to which an id is linked. A search that is refused finds none.
    async fn find_primary(&self, user: &UserId<'_>) -> Result<Option<UserId<'static>>, AttemptError> {
        let mut permit = self.rate_limiter.acquire().await;
        let Reply { result, rate, .. } = self.reader.find_primary(user).await;
        permit.answered(Kind::Read, &rate, matches!(result, Err(CallError::Limited)));
        let counted = result.as_ref().map_or_else(CallError::result, |_| CallResult::Ok);
        self.metrics.auth0_calls.of((Call::SearchUsers, counted)).inc();
        match result {
            Ok(found) => Ok(found),
            Err(error @ (CallError::Limited | CallError::Later { .. })) => {
                Err(AttemptError::Call { error, rate })
            }
            Err(error) => {
                warn!(
                    user.id = user.as_str(),
                    "the account to which the user may be linked could not be searched for: {error}; the user counts as deleted"
                );
                Ok(None)
            }
        }
    }

    /// Lets an id wait until the account is read to which a search says it is linked.
    async fn read_first(&self, claim: &Claim, primary: &UserId<'_>) -> Result<(), StoreError> {
        self.enqueue_primary(claim, primary.as_str(), true).await?;
        let wait = base_delay(u32::try_from(claim.attempts).unwrap_or(0) + 1);
        let failed = Failed {
            why: "the id is linked to another account, which is read first",
            code: None,
        };
        let mut tx = self.store.begin().await?;
        leases::failed(&mut tx, claim, wait, failed, true).await?;
        Ok(tx.commit().await?)
    }
}
