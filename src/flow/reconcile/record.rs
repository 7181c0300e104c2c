//! The end of an attempt: the profile and the write are recorded in Postgres.
//!
//! Owns the third transaction. An attempt that lost its lease must never record its write as the current state. It only
//! marks the write as done; the next attempt repairs.

use tracing::{debug, info, warn};

use super::Reconcile;
use super::attempt::{ToWrite, keep};
use super::race;
use crate::auth0::Profile;
use crate::metrics::ChangeOutcome;
use crate::store::{
    Claim, Enqueue, Priority, RaceOutcome, StoreError, assignments, display_names, leases, role_changes,
    work_queue,
};
use rolekeeper_domain::evaluation::{Evaluation, Seen};
use rolekeeper_domain::patch::Patch;

impl Reconcile {
    /// Records an attempt that wrote nothing.
    pub(super) async fn record_attempt(
        &self,
        tx: &mut crate::store::Tx<'_>,
        claim: &Claim,
        standing: &Evaluation<'_>,
        write: &ToWrite,
        profile: &Profile,
    ) -> Result<(), StoreError> {
        self.save_observation(tx, claim, standing, profile).await?;
        debug!(user.id = claim.user.as_str(), "{}", write.patch);
        self.finish(tx, claim, write.generation, standing, &write.braked)
            .await
    }

    /// Third transaction: records the effect of the write.
    pub(super) async fn record(
        &self,
        claim: &Claim,
        write: &ToWrite,
        after: &Profile,
    ) -> Result<(), StoreError> {
        let user = claim.user.as_str();
        let mut tx = self.store.begin().await?;
        let ours = leases::still_ours(&mut tx, claim).await?;
        let noted = match write.write {
            // True regardless of which attempt holds the user now.
            Some(write) => race::answered(&mut tx, write, after, ours.is_some()).await?,
            None => true,
        };
        if !noted {
            // The write is no longer known: the user was erased meanwhile.
            return Ok(tx.commit().await?);
        }
        if ours.is_none() {
            // The write was done, but another attempt started meanwhile: an attempt after our write is needed.
            let mut again = [Enqueue {
                user: user.to_owned(),
                priority: Priority::Revoke,
                force_fetch: true,
                cause: None,
                flapping: false,
            }];
            work_queue::enqueue(&mut tx, &mut again).await?;
            tx.commit().await?;
            warn!(
                user.id = user,
                "a write was done after another attempt had started; the user is queued again"
            );
            return Ok(());
        }
        // Read while the grant is open: the role is ours, even if it is no longer earned.
        let mut standing = self.evaluate(&mut tx, user, Some(after)).await?;
        role_changes::written(&mut tx, &write.changes, write.write).await?;
        if let Some(wish) = write.wish {
            display_names::come_true(&mut tx, user, wish).await?;
        }
        if write.races.mends() {
            self.settle_races(&mut tx, user, RaceOutcome::NothingLost).await?;
        }
        for role in &mut standing.roles {
            role.suppressed |= write.suppressed.contains(&role.rule.role);
            role.left_open = write.doubtful.contains(&role.rule.role);
        }
        self.save_observation(&mut tx, claim, &standing, after).await?;
        self.finish(&mut tx, claim, write.generation, &standing, &write.braked)
            .await?;
        tx.commit().await?;
        self.report_written(claim, &write.patch);
        Ok(())
    }

    /// Reports a recorded write to metrics and log.
    fn report_written(&self, claim: &Claim, patch: &Patch) {
        for (_, change) in patch.plan().changes() {
            self.metrics
                .role_changes
                .of((*change, ChangeOutcome::Written))
                .inc();
        }
        if let Some(naming) = patch.naming() {
            self.metrics.display_names.of(naming.by).inc();
        }
        let cause = claim.cause.as_ref().filter(|_| !patch.plan().is_empty());
        let lag = cause.map(|cause| (crate::clock::now() - cause.stored_at).as_seconds_f64());
        if let Some(lag) = lag {
            self.metrics.role_lag.observe(lag.max(0.0));
        }
        info!(user.id = claim.user.as_str(), wrote = %patch, lag_s = lag, queued_ms = claim.queued_ms, "profile written");
    }

    /// Stores the state of the owned roles that a profile shows, and the profile.
    pub(super) async fn save_observation(
        &self,
        tx: &mut crate::store::Tx<'_>,
        claim: &Claim,
        standing: &Evaluation<'_>,
        profile: &Profile,
    ) -> Result<(), StoreError> {
        let user = claim.user.as_str();
        let seen = profile.roles();
        for role in standing.roles.iter().filter(|role| !role.left_open) {
            let name = role.rule.role.as_str();
            let (held, wanted, below_since) =
                (seen.has(name), role.decision.wanted, role.decision.below_since);
            if held || wanted || role.known.is_some() {
                // A role that is held and earned is ours from now on; a role that is gone cannot be owned.
                let adopted = held && (role.adopted() || wanted);
                let suppressed = role.suppressed && !held;
                let now = Seen {
                    role: name,
                    wanted,
                    held,
                    adopted,
                    below_since,
                    suppressed,
                };
                assignments::seen(tx, user, now).await?;
            }
        }
        keep(tx, claim, profile).await
    }
}
