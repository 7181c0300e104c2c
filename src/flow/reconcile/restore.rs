//! Permission to restore roles of other clients, and its audit.
//!
//! Owns the brake on restores and the rows that name the record for which a role was restored or removed. Must never
//! add a forbidden role, and never stop the rest of an attempt.

use tracing::{error, info};
use uuid::Uuid;

use super::attempt::Attempt;
use crate::store::role_changes::Reason;
use crate::store::{StoreError, Tx, restores, role_changes};
use rolekeeper_domain::brake::{Brake, Verdict, judge};
use rolekeeper_domain::history::Restored;
use rolekeeper_domain::merge::State;
use rolekeeper_domain::plan::SeenRoles;
use rolekeeper_domain::snapshot::OpenChange;

impl Attempt {
    /// The part of a restore that may be written: a forbidden role that the profile lacks is left out, and reported.
    pub(super) fn permitted(&self, now: &State, restored_roles: &[String]) -> Vec<String> {
        let forbidden =
            |role: &&String| self.context.restores.forbidden.has(role) && !now.roles.contains(role);
        let (left_out, permitted): (Vec<&String>, Vec<&String>) = restored_roles.iter().partition(forbidden);
        if !left_out.is_empty() {
            error!(
                user.id = self.claim.user.as_str(),
                roles = ?left_out,
                "our write overwrote another client's change that added a role which FORBIDDEN_ROLES lists: it is not \
                 restored. Add it by hand if it is intended"
            );
        }
        permitted.into_iter().cloned().collect()
    }

    /// Whether the brake lets a restore pass, and the number of users with a restore if the brake has just engaged.
    /// Locks the brake until the transaction ends, before any other brake.
    pub(super) async fn restores_pass(
        &self,
        tx: &mut Tx<'_>,
        released: bool,
    ) -> Result<(bool, Option<i64>), StoreError> {
        let limits = self.context.restores.brake;
        let lock = restores::lock(tx, self.context.brake.window).await?;
        let brake = match (released, lock.engaged) {
            (true, _) => Brake::Released,
            (false, true) => Brake::Engaged,
            (false, false) => Brake::Free,
        };
        let users = lock.restored(tx, self.claim.user.as_str()).await?;
        let verdict = judge(limits, brake, users, 0);
        if verdict == Verdict::Engage {
            lock.engage(tx, users).await?;
        }
        Ok((
            verdict == Verdict::Pass,
            (verdict == Verdict::Engage).then_some(users),
        ))
    }

    /// Logs the decisions about races once they are committed: an engaged brake, and the changes about to be restored.
    pub(super) fn report_restores(&self, engaged: Option<i64>, restored: &[Restored]) {
        if let Some(users) = engaged {
            error!(
                users,
                "brake engaged: restores of other clients' roles for {users} users inside {} s (limit: {}). All restores are \
                 held, everything else continues. To inspect: rolekeeper brake; then: rolekeeper brake release restores, or \
                 rolekeeper brake drop restores",
                self.context.brake.window.as_secs(),
                self.context.restores.brake.number
            );
        }
        for Restored {
            role,
            added,
            client,
            log_id,
        } in restored
        {
            let change = if *added { "restored" } else { "removed" };
            info!(
                user.id = self.claim.user.as_str(),
                role, change, client, log_id, "our write overwrote another client's change; restoring it"
            );
        }
    }

    /// Brings the audit in line with the restores that the profile shows and those decided now. Returns the rows of the
    /// latter.
    pub(super) async fn audit_restores(
        &self,
        tx: &mut Tx<'_>,
        open: &[OpenChange],
        seen: &SeenRoles,
        (restored, released, reason): (&[Restored], bool, Option<Reason>),
    ) -> Result<Vec<Uuid>, StoreError> {
        let (done, not_done): (Vec<&OpenChange>, Vec<&OpenChange>) =
            open.iter().partition(|open| seen.has(&open.role) == open.granted);
        let ids: Vec<Uuid> = done.iter().map(|open| open.id).collect();
        role_changes::confirmed(tx, self.claim.user.as_str(), &ids).await?;
        let mut rows = Vec::with_capacity(restored.len());
        for restored in restored {
            let same = |open: &&&OpenChange| open.role == restored.role && open.granted == restored.added;
            rows.push(match not_done.iter().find(same) {
                Some(open) => open.id,
                None => role_changes::decide_restore(tx, &self.claim, restored, (released, reason)).await?,
            });
        }
        role_changes::attempt_again(tx, &rows).await?;
        let dropped: Vec<Uuid> = not_done
            .iter()
            .map(|open| open.id)
            .filter(|id| !rows.contains(id))
            .collect();
        role_changes::close(tx, &dropped, "superseded").await?;
        Ok(rows)
    }
}
