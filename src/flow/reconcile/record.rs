//! Last step: the profile and the write are recorded in Postgres, and the user leaves the queue.
//!
//! Owns the third transaction, and the end of an attempt that writes nothing. An attempt that lost its lease must never
//! record its write as the current state. It only marks the write as done; the next attempt repairs.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::attempt::{Attempt, Completed};
use super::decision::ToWrite;
use super::own_writes;
use crate::auth0::Profile;
use crate::metrics::ChangeOutcome;
use crate::store::{
    Claim, Priority, RaceOutcome, StoreError, Tx, assignments, brakes, display_names, leases, role_changes,
    users, work_queue,
};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::held::Held;
use rolekeeper_domain::patch::Patch;

impl Attempt {
    /// Records an attempt that wrote nothing.
    pub(super) async fn record_attempt(
        &self,
        tx: &mut Tx<'_>,
        evaluation: &Evaluation<'_>,
        write: &ToWrite,
        profile: &Profile,
    ) -> Result<Completed, StoreError> {
        self.save_observation(tx, evaluation, profile).await?;
        self.end_stray(tx, &write.races, profile).await?;
        debug!(user.id = self.claim.user.as_str(), "{}", write.patch);
        self.finish(tx, write.generation, evaluation, &write.braked).await
    }

    /// Third transaction: records the effect of the write.
    pub(super) async fn record(&self, write: &ToWrite, after: &Profile) -> Result<Completed, StoreError> {
        let user = self.claim.user.as_str();
        let _single = self.context.single.acquire().await;
        let mut tx = self.context.store.begin_bounded().await?;
        let ours = leases::still_ours(&mut tx, &self.claim).await?;
        self.context.refuse_locked(&mut tx, user).await?;
        let noted = match write.write {
            // True regardless of which attempt holds the user now.
            Some(write) => own_writes::answered(&mut tx, write, after, ours.is_some()).await?,
            None => true,
        };
        if !noted {
            // The write is no longer known: the user was erased meanwhile.
            tx.commit().await?;
            crash_point!("user_erased");
            return Ok(Completed::Done);
        }
        if ours.is_none() {
            // The write was done, but another attempt started meanwhile: an attempt after our write is needed.
            work_queue::read_next(&mut tx, user, Priority::Revoke).await?;
            tx.commit().await?;
            crash_point!("written_late");
            warn!(
                user.id = user,
                "a write was done after another attempt had started; the user is queued again"
            );
            return Ok(Completed::Done);
        }
        // Read while the grant is open: the role is ours, even if it is no longer earned.
        let mut evaluation = self.context.evaluate(&mut tx, user, Some(after)).await?;
        role_changes::written(&mut tx, &write.changes, write.write).await?;
        if let Some(request) = write.request {
            display_names::mark_applied(&mut tx, user, request).await?;
        }
        if write.races.restores() {
            self.settle_races(&mut tx, RaceOutcome::NothingLost).await?;
        }
        for role in &mut evaluation.roles {
            role.suppressed |= write.suppressed.contains(&role.rule.role);
            role.left_open = write.doubtful.contains(&role.rule.role);
        }
        self.save_observation(&mut tx, &evaluation, after).await?;
        self.end_stray(&mut tx, &write.races, after).await?;
        let completed = self
            .finish(&mut tx, write.generation, &evaluation, &write.braked)
            .await?;
        tx.commit().await?;
        crash_point!("recorded");
        self.report_written(&write.patch);
        Ok(completed)
    }

    /// Reports a recorded write to metrics and log.
    pub(super) fn report_written(&self, patch: &Patch) {
        let claim = &self.claim;
        for (_, change) in patch.plan().changes() {
            self.context
                .metrics
                .role_changes
                .of((*change, ChangeOutcome::Written))
                .inc();
        }
        if let Some(name_change) = patch.name_change() {
            self.context.metrics.display_names.of(name_change.by).inc();
        }
        let lag = if patch.plan().is_empty() {
            None
        } else {
            self.observe_lag()
        };
        info!(user.id = claim.user.as_str(), wrote = %patch, lag_s = lag, queued_ms = claim.queued_ms, "profile written");
    }

    /// Stores the state of the owned roles that a profile shows, and the profile.
    async fn save_observation(
        &self,
        tx: &mut Tx<'_>,
        evaluation: &Evaluation<'_>,
        profile: &Profile,
    ) -> Result<(), StoreError> {
        let user = self.claim.user.as_str();
        let seen = profile.roles();
        for now in evaluation.roles.iter().filter_map(|role| role.seen(&seen)) {
            assignments::seen(tx, user, now).await?;
        }
        keep(tx, &self.claim, profile).await
    }

    /// Ends an attempt as of `generation`: the user is up to date apart from held changes.
    async fn finish(
        &self,
        tx: &mut Tx<'_>,
        generation: i64,
        evaluation: &Evaluation<'_>,
        braked: &Held,
    ) -> Result<Completed, StoreError> {
        let claim = &self.claim;
        let Some(why) = braked.by() else {
            leases::finish(tx, claim, generation, evaluation.again_at()).await?;
            self.name_later(tx, &evaluation.names).await?;
            return Ok(Completed::Done);
        };
        let engaged = brakes::engaged(tx).await?;
        if braked.brakes.iter().all(|change| engaged.contains(change)) {
            debug!(
                user.id = claim.user.as_str(),
                ?why,
                "changes wait for the operator"
            );
            leases::hold(tx, claim, generation, why, evaluation.again_at()).await?;
            Ok(Completed::Done)
        } else {
            // The brake was released while the rest was written: no later release would reach this user.
            leases::again(tx, claim, Duration::ZERO, true, None).await?;
            Ok(Completed::Requeued)
        }
    }
}

/// Stores a profile; from a profile that was read in part, only that the user exists.
pub(super) async fn keep(tx: &mut Tx<'_>, claim: &Claim, profile: &Profile) -> Result<(), StoreError> {
    if profile.is_whole() {
        users::fetched(tx, claim.user.as_str(), profile.json(), claim.asked_at).await
    } else {
        users::found(tx, claim.user.as_str(), claim.asked_at).await
    }
}
