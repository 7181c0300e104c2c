//! Roles that an attempt saw the user hold and that the profile lacks now: another client removed them.
//!
//! Owns which roles these are, and how each is treated. Must never count a role whose absence a write of ours or a stale
//! write explains.

use time::OffsetDateTime;

use super::{Evaluation, Role};
use crate::pin::Pin;
use crate::plan::SeenRoles;
use crate::removal::{Removal, RemovalState};
use crate::rule::OnExternalRemoval;

impl<'r> Evaluation<'r> {
    /// Removals that are settled without a record: the profile has the role, or the count no longer gives it, or the rule no longer
    /// respects removals, or a pin decides. A condition that does not hold settles none. A removal that a brake held was not decided:
    /// where its role would be restored now, the role is no longer suppressed; and where a write that did not know of the removal gave the
    /// role again, it is still held.
    pub fn settle_removals(&mut self, seen: &SeenRoles) -> Vec<String> {
        let settled = |role: &&Role<'_>| match &role.removal {
            None => false,
            Some(removal) => {
                let moot = removal.state == RemovalState::Waiting && (!role.earned || role.reverted);
                let held = removal.state == RemovalState::Held && role.reverted;
                moot || !role.respects() || (seen.has(&role.rule.role) && !held)
            }
        };
        let settled = self.roles.iter().filter(settled);
        let settled: Vec<String> = settled.map(|role| role.rule.role.clone()).collect();
        for name in &settled {
            self.settle_removal(name, |role| {
                let removal = role.removal.take();
                let held = removal.is_some_and(|removal| removal.state == RemovalState::Held);
                role.suppressed &= !(held && role.manual() == OnExternalRemoval::Restore);
            });
        }
        settled
    }

    /// Roles that the profile lacks and that another client may have removed by hand, each with the time since which the
    /// user held it. A role that a write of ours or a stale write caused to be missing is none of them.
    #[must_use]
    pub fn removed_by_hand(&self, seen: &SeenRoles) -> Vec<(Removal, OffsetDateTime)> {
        let roles = self.roles.iter().filter(|role| {
            let released = role
                .removal
                .as_ref()
                .is_some_and(|one| one.state == RemovalState::Released);
            role.respects()
                && !role.left_open
                && !seen.has(&role.rule.role)
                && (released || self.is_taken(role, seen))
        });
        let removal = |role: &Role<'_>| {
            let fresh = || Removal {
                role: role.rule.role.clone(),
                found_at: self.facts.now,
                state: RemovalState::Waiting,
            };
            let since = role.known.as_ref().map_or(self.facts.now, |known| known.since);
            (role.removal.clone().unwrap_or_else(fresh), since)
        };
        roles.map(removal).collect()
    }

    /// Leaves a missing role open until the record of its removal is confirmed.
    pub fn await_record(&mut self, removal: Removal) {
        self.settle_removal(&removal.role.clone(), |role| {
            role.removal = Some(removal);
            role.left_open = true;
        });
    }

    /// Notes that the removal of a role is held: the role is not granted.
    pub fn hold_removed(&mut self, removal: Removal) {
        self.settle_removal(&removal.role.clone(), |role| {
            role.removal = Some(removal);
            role.suppressed = true;
        });
    }

    /// Notes that a role was pinned off because it was removed by hand. Only the pin counts from then on, so that `unpin` gives the
    /// role back.
    pub fn pin_off(&mut self, role: &str) {
        self.settle_removal(role, |one| {
            one.removal = None;
            one.suppressed = false;
            one.pin = Some(Pin {
                role: role.to_owned(),
                on: false,
                until: None,
            });
        });
    }

    /// Notes that a missing role was not removed by hand, as far as any record shows.
    pub fn restore_removed(&mut self, role: &str) {
        self.settle_removal(role, |role| role.removal = None);
    }

    fn settle_removal(&mut self, name: &str, settle: impl FnOnce(&mut Role<'r>)) {
        if let Some(role) = self.roles.iter_mut().find(|role| role.rule.role == name) {
            settle(role);
        }
    }

    /// Whether an attempt saw the user hold the role, which is earned, and the profile lacks it now. Where the removal would not be
    /// undone, a role counts as earned too whose condition does not hold: the removal outlasts that.
    fn is_taken(&self, role: &Role<'_>, seen: &SeenRoles) -> bool {
        let known = role.known.as_ref();
        let has_role = known.is_some_and(|known| known.has_role && known.adopted);
        let mut open = self.open.iter();
        let revoking = open.any(|open| open.role == role.rule.role && !open.granted);
        let earned = match role.manual() {
            OnExternalRemoval::Restore => role.wanted(),
            OnExternalRemoval::Alert | OnExternalRemoval::Respect => role.earned && !role.suppressed,
        };
        has_role && earned && !revoking && !role.reverted && !role.left_open && !seen.has(&role.rule.role)
    }

    /// Whether the profile has a role of ours that an account without a history would not get: it is kept, or about to be revoked.
    #[must_use]
    pub fn has_an_earlier_role(&self, seen: &SeenRoles) -> bool {
        self.roles.iter().any(|role| {
            let known = role.known.as_ref();
            let without_history = || {
                role.rule
                    .decide(self.plays(role.rule), None, self.facts.now)
                    .wanted
            };
            role.pin.is_none()
                && known.is_some_and(|known| known.has_role && known.adopted)
                && seen.has(&role.rule.role)
                && !(role.decision.wanted && without_history())
        })
    }

    /// Whether a role that the profile lacks counts as removed by another client.
    #[must_use]
    pub fn misses_a_role(&self, seen: &SeenRoles) -> bool {
        self.roles.iter().any(|role| self.is_taken(role, seen))
    }

    /// Roles that an attempt saw the user hold, that are earned, and that the profile lacks now: another client removed
    /// them. Roles that the rule's policy leaves removed are suppressed from now on.
    pub fn externally_removed(&mut self, seen: &SeenRoles) -> Vec<(&'r str, OnExternalRemoval)> {
        let stays = |role: &Role<'_>| role.wanted() || role.manual() == OnExternalRemoval::Alert;
        let taken: Vec<usize> = (0..self.roles.len())
            .filter(|index| stays(&self.roles[*index]) && self.is_taken(&self.roles[*index], seen))
            .collect();
        taken
            .into_iter()
            .map(|index| {
                let role = &mut self.roles[index];
                let manual = role.manual();
                role.suppressed = manual == OnExternalRemoval::Alert;
                (role.rule.role.as_str(), manual)
            })
            .collect()
    }
}
