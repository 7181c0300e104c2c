//! An id that Auth0 does not know: it may be linked to another account.
//!
//! Owns the search for that account. Must never take the result of a search, which may be some seconds old, for a link: it only
//! names the account to read.

use time::OffsetDateTime;
use tracing::warn;

use super::attempt::{Attempt, AttemptError, Completed};
use super::persons;
use crate::auth0::{CallError, Reply};
use crate::flow::backoff::base_delay;
use crate::metrics::{Call, CallResult};
use crate::store::leases::Failed;
use crate::store::{StoreError, erasures, former_identities, leases};
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::pacer::CallKind;

/// Attempts at an id that Auth0 does not know while the account to which a search says it is linked does not show it.
const SEARCHES: i32 = 3;

impl Attempt {
    /// Handles the response that Auth0 does not know the id. It may be linked to another account, which a search finds and which
    /// is read then; otherwise the user is deleted, and no id is linked to it any more.
    pub(super) async fn absent(&mut self, at: Option<OffsetDateTime>) -> Result<Completed, AttemptError> {
        let absent = self.context.store.absent(self.claim.user.as_str()).await?;
        if let Some(primary) = &absent.alias_of {
            // A moved id, as it was when the operator moved it.
            persons::pass_on(&self.context, &self.claim, primary).await?;
            return Ok(Completed::Done);
        }
        let primary = if absent.matters && self.claim.attempts < SEARCHES {
            self.find_primary().await?
        } else {
            None
        };
        // Where the id is linked to an account, the read of that account takes its linked ids over.
        let elsewhere = |primary: &UserId<'_>| absent.aliases.iter().all(|alias| alias != primary.as_str());
        if !absent.aliases.is_empty() && !primary.as_ref().is_some_and(elsewhere) {
            if primary.is_none() && self.would_be_held().await? {
                return Ok(self.gone(at).await?);
            }
            self.keep_former_links().await?;
            self.end_links(at).await?;
        }
        match primary {
            Some(primary) => Ok(self.read_first(&primary).await?),
            None => Ok(self.gone(at).await?),
        }
    }

    /// Keeps the links of the deleted account: an erasure takes the linked ids along.
    async fn keep_former_links(&self) -> Result<(), StoreError> {
        let (store, user) = (&self.context.store, self.claim.user.as_str());
        let mut tx = store.begin().await?;
        if erasures::keep_out(&mut tx, store.erasure_key(), &[user])
            .await?
            .is_empty()
        {
            former_identities::keep(&mut tx, user).await?;
            tx.commit().await?;
            crash_point!("former_links_kept");
        }
        Ok(())
    }

    /// Searches for the account to which an id is linked. A search that is refused finds none.
    async fn find_primary(&mut self) -> Result<Option<UserId<'static>>, AttemptError> {
        self.permit.once_more().await;
        let user = &self.claim.user;
        let Reply { result, rate, .. } = self.context.reader.find_primary(user).await;
        self.permit
            .answered(CallKind::Read, &rate, matches!(result, Err(CallError::Limited)));
        let counted = result.as_ref().map_or_else(CallError::result, |_| CallResult::Ok);
        self.context
            .metrics
            .auth0_calls
            .of((Call::SearchUsers, counted))
            .inc();
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
    async fn read_first(&self, primary: &UserId<'_>) -> Result<Completed, StoreError> {
        let claim = &self.claim;
        persons::enqueue_primary(&self.context, claim, primary.as_str(), true).await?;
        let wait = base_delay(u32::try_from(claim.attempts).unwrap_or(0) + 1);
        let failed = Failed {
            why: "the id is linked to another account, which is read first",
            code: None,
        };
        let mut tx = self.context.store.begin().await?;
        leases::failed(&mut tx, claim, wait, failed, true).await?;
        tx.commit().await?;
        crash_point!("primary_first");
        Ok(Completed::Done)
    }
}
