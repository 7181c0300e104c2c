//! Changes that are held until the operator acts: revokes while a stream's loss stands, and a mass of changes of either
//! kind.
//!
//! Owns the end of an attempt whose changes are held; `leave` asks the brakes. Must never write what is held, and never
//! hold what the operator has just released.

use tracing::{debug, error, warn};

use super::Reconcile;
use super::leave::{Engaged, Leave};
use crate::store::{Claim, HeldBy, StoreError, Tx, assignments, brakes, leases};
use rolekeeper_domain::brake::{Verdict, word};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::{Change, Plan, SeenRoles, plan};

/// The kinds of changes of one user that are held.
#[derive(Debug, Default)]
pub(super) struct Braked {
    /// Revokes are held because of a stream's loss.
    loss: bool,
    /// Changes whose brake is engaged.
    brakes: Vec<Change>,
    /// Pinned roles whose changes are not held.
    pinned: Vec<String>,
}

impl Braked {
    fn holds(&self, role: &str, change: Change) -> bool {
        let held = self.brakes.contains(&change) || (self.loss && change == Change::Revoked);
        held && !self.pinned.iter().any(|pinned| pinned == role)
    }

    fn held_by(&self) -> Option<HeldBy> {
        match (self.loss, self.brakes.as_slice()) {
            (true, _) => Some(HeldBy::StreamLoss),
            (false, []) => None,
            (false, [only]) => Some(HeldBy::Brake(*only)),
            (false, _) => Some(HeldBy::BothBrakes),
        }
    }

    /// The rest of a plan without the held changes.
    pub(super) fn drop_held(&self, full: Plan, seen: &SeenRoles, standing: &Evaluation<'_>) -> Plan {
        if self.held_by().is_none() {
            return full;
        }
        let held = |role: &str| {
            let mut changes = full.changes().iter();
            changes.any(|(changed, change)| changed == role && self.holds(role, *change))
        };
        let mut wants = standing.wants();
        wants.retain(|want| !held(want.role));
        plan(seen, &wants).expect("these roles were part of the first plan")
    }
}

impl Reconcile {
    /// Determines which changes of a plan are held, by the permission obtained before the profile was read. Takes no
    /// lock.
    ///
    /// # Errors
    /// A change was not expected: the brake must be asked for it before the profile is read again.
    pub(super) fn brake(
        &self,
        claim: &Claim,
        standing: &Evaluation<'_>,
        full: &Plan,
        leave: &Leave,
    ) -> Result<Braked, Change> {
        let planned = full.changes().iter();
        let (pinned, others): (Vec<_>, Vec<_>) = planned.partition(|(role, _)| standing.is_pinned(role));
        let mut braked = Braked {
            pinned: pinned.into_iter().map(|(role, _)| role.clone()).collect(),
            ..Braked::default()
        };
        // Grants first, as everywhere.
        for change in [Change::Granted, Change::Revoked] {
            if !others.iter().any(|(_, planned)| *planned == change) {
                continue;
            }
            if change == Change::Revoked && standing.loss {
                braked.loss = true;
                continue;
            }
            match leave.verdict(change) {
                // In shadow mode nothing is written, so nothing needs a brake.
                _ if !self.writes => {}
                Some(Verdict::Pass) => {}
                Some(Verdict::Hold | Verdict::Engage) => braked.brakes.push(change),
                None if claim.passes(change) => {}
                None if standing.engaged.contains(&change) => braked.brakes.push(change),
                None if leave.passes_unasked(change) => {}
                None => return Err(change),
            }
        }
        Ok(braked)
    }

    /// Holds a user without a call when our own records show that only held changes remain.
    pub(super) async fn hold_unseen(
        &self,
        tx: &mut Tx<'_>,
        claim: &Claim,
        standing: &Evaluation<'_>,
    ) -> Result<bool, StoreError> {
        let plain = self.writes
            && !claim.force_fetch
            && standing.open.is_empty()
            && standing.restores.is_empty()
            && standing.gone_at.is_none();
        let told = |role: &rolekeeper_domain::evaluation::Role<'_>| {
            role.in_step() || (role.pin.is_none() && role.awaits().is_some())
        };
        if !plain || !standing.roles.iter().all(told) {
            return Ok(false);
        }
        let awaits = || {
            standing
                .roles
                .iter()
                .filter_map(rolekeeper_domain::evaluation::Role::awaits)
        };
        let held = |change: Change| {
            (change == Change::Revoked && standing.loss) || standing.engaged.contains(&change)
        };
        if !awaits().all(held) {
            return Ok(false);
        }
        // From here on under the brakes' locks, so that the operator cannot release them before this transaction ends.
        let engaged = brakes::engaged(tx).await?;
        let mut braked = Braked::default();
        for change in awaits() {
            if change == Change::Revoked && standing.loss {
                braked.loss = true;
            } else if !engaged.contains(&change) || claim.passes(change) {
                return Ok(false);
            } else if !braked.brakes.contains(&change) {
                braked.brakes.push(change);
            }
        }
        let Some(why) = braked.held_by() else {
            return Ok(false);
        };
        for role in &standing.roles {
            let (user, name) = (claim.user.as_str(), role.rule.role.as_str());
            let (wanted, below_since) = (role.decision.wanted, role.decision.below_since);
            if role.awaits().is_some() {
                assignments::awaited(tx, user, name, wanted, below_since).await?;
            } else {
                assignments::decided(tx, user, name, wanted, below_since).await?;
            }
        }
        debug!(user.id = claim.user.as_str(), ?why, "held without an attempt");
        leases::hold(tx, claim, claim.generation, why, standing.again_at()).await?;
        Ok(true)
    }

    /// Ends an attempt as of `generation`: the user is up to date apart from held changes.
    pub(super) async fn finish(
        &self,
        tx: &mut Tx<'_>,
        claim: &Claim,
        generation: i64,
        standing: &Evaluation<'_>,
        braked: &Braked,
    ) -> Result<(), StoreError> {
        let Some(why) = braked.held_by() else {
            leases::finish(tx, claim, generation, standing.again_at()).await?;
            return self.name_later(tx, claim, &standing.names).await;
        };
        let engaged = brakes::engaged(tx).await?;
        if braked.brakes.iter().all(|change| engaged.contains(change)) {
            debug!(
                user.id = claim.user.as_str(),
                ?why,
                "changes wait for the operator"
            );
            leases::hold(tx, claim, generation, why, standing.again_at()).await
        } else {
            // The brake was released while the rest was written: no later release would reach this user.
            self.wake.notify_one();
            leases::again(tx, claim, std::time::Duration::ZERO, true, None).await
        }
    }

    /// Reports once that a brake has engaged.
    pub(super) fn announce(&self, engaged: Vec<Engaged>) {
        for Engaged {
            change,
            changes,
            holders,
        } in engaged
        {
            let (what, limits) = (word(change), self.brake.of(change));
            error!(
                change = change.as_str(),
                users = changes,
                holders,
                "brake engaged: {what} for {changes} users inside {} s, of {holders} holders (limits: {} and {} %). All {what} \
                 are held. To inspect: rolekeeper brake; then: rolekeeper brake release {what}, or rolekeeper brake drop {what}",
                self.brake.window.as_secs(),
                limits.number,
                limits.share * 100.0
            );
        }
    }

    /// Logs at the start of leadership which users still wait for the operator.
    pub(super) async fn log_engaged_brakes(&self) -> Result<(), StoreError> {
        for change in [Change::Granted, Change::Revoked] {
            let brake = self.store.brake(change, 0).await?;
            if let Some(since) = brake.engaged_at {
                let (what, held) = (word(change), brake.held);
                warn!(%since, held, "the brake on {what} is engaged, {held} users are held. To inspect: rolekeeper brake");
            }
        }
        Ok(())
    }
}
