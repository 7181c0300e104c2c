//! Display names in an attempt: the name that a user requested, or the default for a user without one.
//!
//! Owns the result of a requested name, and that it reaches no account made after the request. Must never let a name that Auth0 refuses
//! hold back a role.

use std::time::Duration;

use tracing::{error, info};
use uuid::Uuid;

use super::attempt::{Attempt, Completed};
use crate::auth0::{CallError, Profile};
use crate::flow::backoff::base_delay;
use crate::store::{Enqueue, Priority, StoreError, Tx, display_names, leases, users, work_queue};
use rolekeeper_domain::display_name::{NameChange, NameSource, SeenName, name_change};
use rolekeeper_domain::snapshot::DisplayNameState;

/// A request this much older than the account is certainly not of it, by the clocks of Postgres and Auth0.
const CLOCKS_APART: time::Duration = time::Duration::minutes(1);

/// A name to write.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name_change: NameChange,
    /// The requested name that this write applies.
    pub(super) request: Option<Uuid>,
}

impl Attempt {
    /// Ends a name that was requested before the account of the profile was made: an earlier account of the id had it. Returns whether
    /// there was one.
    pub(super) async fn end_earlier_name(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        names: &DisplayNameState,
    ) -> Result<bool, StoreError> {
        let Some(created_at) = profile.created_at().filter(|_| names.requested.is_some()) else {
            return Ok(false);
        };
        let user = self.claim.user.as_str();
        let made_at = match users::created_at(tx, &[user]).await?.remove(user) {
            // The request of a linked id may be older than the account.
            Some(before) if before >= created_at => return Ok(false),
            Some(_) => created_at,
            None => created_at.saturating_sub(CLOCKS_APART),
        };
        let ended = display_names::end_before(tx, user, made_at).await?;
        if ended {
            info!(
                user.id = user,
                "a requested display name ends: it is older than the account that has the id now"
            );
        }
        Ok(ended)
    }

    /// The name to be written. A requested name that the profile already shows counts as applied.
    pub(super) async fn name(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        names: &DisplayNameState,
    ) -> Result<Option<Named>, StoreError> {
        let user = self.claim.user.as_str();
        let (seen, mut request) = (profile.display_name(), display_names::request(names)?);
        let shown = |seen: &SeenName, name: &str| matches!(seen, SeenName::Is(is) if is == name);
        if let Some(done) = request.take_if(|request| shown(&seen, request.name.as_str())) {
            display_names::mark_applied(tx, user, done.id).await?;
        }
        let requested = request.as_ref().map(|request| &request.name);
        let name_change = name_change(
            &seen,
            requested,
            self.context.default_name.as_ref(),
            names.waits(),
        );
        Ok(name_change.map(|name_change| Named {
            request: request
                .map(|request| request.id)
                .filter(|_| name_change.by == NameSource::Requested),
            name_change,
        }))
    }

    /// Handles a write with a name that Auth0 refused. The next attempt leaves the name out, which shows whether the
    /// name was the cause: it comes at once, and with growing delays where each attempt is refused.
    pub(super) async fn name_refused(
        &self,
        (name_change, request): (&NameChange, Option<Uuid>),
        why: &CallError,
    ) -> Result<Completed, StoreError> {
        let claim = &self.claim;
        let (user, why) = (claim.user.as_str(), why.to_string());
        let mut tx = self.context.store.begin_bounded().await?;
        if leases::still_ours(&mut tx, claim).await?.is_none() {
            return Ok(Completed::Done);
        }
        display_names::refuse(&mut tx, user, (&name_change.name, request), &why).await?;
        let wait = match u32::try_from(claim.attempts) {
            Ok(0) | Err(_) => Duration::ZERO,
            Ok(failures) => base_delay(failures),
        };
        leases::again(&mut tx, claim, wait, true, Some(&why)).await?;
        tx.commit().await?;
        crash_point!("name_refused");
        error!(
            user.id = user,
            source = name_change.by.as_str(),
            "Auth0 refused a write with a display name, it is retried without the name: {why}"
        );
        Ok(Completed::Requeued)
    }

    /// Queues a user whose requested name an attempt left out because a name was refused a moment before.
    pub(super) async fn name_later(
        &self,
        tx: &mut Tx<'_>,
        names: &DisplayNameState,
    ) -> Result<(), StoreError> {
        if !names.is_left_out() {
            return Ok(());
        }
        let mut later = [Enqueue {
            user: self.claim.user.as_str().to_owned(),
            priority: Priority::DisplayName,
            force_fetch: false,
            cause: None,
            flapping: false,
        }];
        work_queue::enqueue(tx, &mut later).await
    }
}
