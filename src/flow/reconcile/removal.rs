//! Removals by hand under `manual = "respect"`: a role that another client removed is pinned `off`, once Auth0 has confirmed
//! the record of it.
//!
//! Owns the brake on such pins and what is reported about them; `domain::removal` judges. Must never write at Auth0, nor
//! pin a role that came or went by a write of ours or a stale write of another client.

use tracing::{error, info, warn};

use super::attempt::Attempt;
use crate::metrics::Treatment;
use crate::store::removals::{self, AnnouncedChange};
use crate::store::{StoreError, Tx, confirmations, pins};
use rolekeeper_domain::brake::Verdict as Passage;
use rolekeeper_domain::brake::{Brake, judge};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::{RoleChange, SeenRoles};
use rolekeeper_domain::removal::{self, Records, Removal, RemovalState, Verdict};

/// Removals that one attempt settled; logged once they are committed.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Roles that are pinned off from now on, each with its record.
    pinned: Vec<(String, AnnouncedChange)>,
    /// Roles whose removal the brake holds.
    held: Vec<String>,
    /// Numbers of users and of holders when this attempt engaged the brake.
    engaged: Option<(i64, i64)>,
}

impl Attempt {
    /// Settles which missing roles were removed by hand: such a role is pinned, held, or left open until its record is
    /// confirmed. All others stay as they are, to be granted again.
    pub(super) async fn removals(
        &self,
        tx: &mut Tx<'_>,
        evaluation: &mut Evaluation<'_>,
        seen: &SeenRoles,
    ) -> Result<Removals, StoreError> {
        let user = self.claim.user.as_str();
        for role in evaluation.settle_removals(seen) {
            removals::forget(tx, user, &role).await?;
        }
        let mut settled = Removals::default();
        for (removal, since) in evaluation.removed_by_hand(seen) {
            let told = if removal.state == RemovalState::Released {
                Some(removals::told(tx, user, &removal.role).await?)
            } else {
                let found = removals::records(tx, user, &removal.role, since).await?;
                match removal::judge(found.records, removal.found_at, evaluation.now()) {
                    Verdict::Pin => Some(found.told),
                    Verdict::Restore => {
                        removals::forget(tx, user, &removal.role).await?;
                        evaluation.restore_removed(&removal.role);
                        continue;
                    }
                    Verdict::Wait => {
                        let open: Vec<&str> = found.open.iter().map(String::as_str).collect();
                        confirmations::ask(tx, &found.of, &open).await?;
                        None
                    }
                }
            };
            if let Some(told) = told {
                self.respect(tx, evaluation, (removal, told), &mut settled)
                    .await?;
            } else {
                removals::keep(tx, user, &removal, &AnnouncedChange::default()).await?;
                evaluation.await_record(removal);
            }
        }
        Ok(settled)
    }

    /// Keeps the removals of a deleted account that records report and no attempt saw: the next account of the id may be read before
    /// they are confirmed.
    pub(super) async fn await_removals(
        &self,
        tx: &mut Tx<'_>,
        evaluation: &Evaluation<'_>,
    ) -> Result<(), StoreError> {
        let user = self.claim.user.as_str();
        let removed = evaluation.removed_by_hand(&SeenRoles::Missing).into_iter();
        for (removal, since) in removed.filter(|(removal, _)| removal.state == RemovalState::Waiting) {
            let found = removals::records(tx, user, &removal.role, since).await?;
            if found.records != Records::None {
                removals::keep(tx, user, &removal, &AnnouncedChange::default()).await?;
            }
        }
        Ok(())
    }

    /// Pins a role off whose removal is confirmed, or holds the removal where the brake demands it.
    async fn respect(
        &self,
        tx: &mut Tx<'_>,
        evaluation: &mut Evaluation<'_>,
        (removal, told): (Removal, AnnouncedChange),
        settled: &mut Removals,
    ) -> Result<(), StoreError> {
        let (user, limits) = (
            self.claim.user.as_str(),
            self.context.brake.of(RoleChange::Revoked),
        );
        let released = removal.state == RemovalState::Released;
        let lock = removals::lock(tx, self.context.brake.window).await?;
        let brake = match (released, lock.engaged) {
            (true, _) => Brake::Released,
            (false, true) => Brake::Engaged,
            (false, false) => Brake::Free,
        };
        let (users, holders) = lock.pinned(tx, user).await?;
        let verdict = judge(limits, brake, users, holders);
        if verdict == Passage::Pass {
            removals::forget(tx, user, &removal.role).await?;
            pins::respect(tx, user, &removal.role, &told, released).await?;
            evaluation.pin_off(&removal.role);
            settled.pinned.push((removal.role, told));
            return Ok(());
        }
        if verdict == Passage::Engage {
            lock.engage(tx, users, holders).await?;
            settled.engaged = Some((users, holders));
        }
        let removal = Removal {
            state: RemovalState::Held,
            ..removal
        };
        removals::keep(tx, user, &removal, &told).await?;
        settled.held.push(removal.role.clone());
        evaluation.hold_removed(removal);
        Ok(())
    }

    /// Reports what an attempt settled, once it is committed.
    pub(super) fn report_removals(&self, settled: &Removals) {
        let user = self.claim.user.as_str();
        for (role, AnnouncedChange { client, log_id }) in &settled.pinned {
            self.context
                .metrics
                .externally_removed
                .of(Treatment::Pinned)
                .inc();
            info!(
                user.id = user,
                role,
                client,
                log_id,
                "another client removed a role the user qualifies for: it is pinned off. To undo: rolekeeper unpin"
            );
        }
        for role in &settled.held {
            self.context.metrics.externally_removed.of(Treatment::Held).inc();
            warn!(
                user.id = user,
                role,
                "another client removed a role the user qualifies for: it is neither pinned nor granted, by the brake"
            );
        }
        if let Some((users, holders)) = settled.engaged {
            let limits = self.context.brake.of(RoleChange::Revoked);
            error!(
                users,
                holders,
                "brake engaged: other clients removed roles of {users} users inside {} s, of {holders} holders (limits: {} and \
                 {} %). No more pins are made; these users keep no role and get none. To inspect: rolekeeper brake; then: \
                 rolekeeper brake release removals (pins them off), or rolekeeper brake drop removals (grants the roles again)",
                self.context.brake.window.as_secs(),
                limits.number,
                limits.share * 100.0
            );
        }
    }
}
