//! Writes decisions to the audit.
//!
//! Owns in which row a change is decided, and how open rows end. Must never complete a row whose change was neither
//! acknowledged by Auth0 nor seen in a profile.

use tracing::warn;
use uuid::Uuid;

use super::Reconcile;
use crate::metrics::{ChangeOutcome, Label as _, Treatment};
use crate::store::role_changes::Reason;
use crate::store::{Claim, StoreError, Tx, foreign_changes, role_changes};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::{Change, Plan, SeenRoles};
use rolekeeper_domain::rule::Manual;
use rolekeeper_domain::snapshot::OpenChange;

impl Reconcile {
    /// Counts a change whose effect an attempt saw in the profile.
    pub(super) fn count_confirmed(&self, change: Change) {
        self.metrics
            .role_changes
            .of((change, ChangeOutcome::Confirmed))
            .inc();
    }

    /// Reports roles that another client removed although the user qualifies for them. Returns the roles that stay
    /// removed by the rule's policy.
    pub(super) fn externally_removed(
        &self,
        user: &str,
        standing: &mut Evaluation<'_>,
        seen: &SeenRoles,
    ) -> Vec<String> {
        let mut left = Vec::new();
        for (role, manual) in standing.externally_removed(seen) {
            let answer = if manual == Manual::Alert {
                Treatment::Left
            } else {
                Treatment::Restored
            };
            self.metrics.taken_away.of(answer).inc();
            warn!(
                user.id = user,
                role,
                answer = answer.text(),
                "a role the user qualifies for was removed by another client"
            );
            if manual == Manual::Alert {
                left.push(role.to_owned());
            }
        }
        left
    }

    /// Records which managed roles another client granted or removed: the attempt's profile differs from what an
    /// earlier attempt left, and the difference is none of our own changes in `done`.
    async fn audit_foreign(
        &self,
        tx: &mut Tx<'_>,
        claim: &Claim,
        standing: &Evaluation<'_>,
        seen: &SeenRoles,
        (plan, done): (&Plan, &[&OpenChange]),
    ) -> Result<(), StoreError> {
        for role in &standing.roles {
            let (rule, name) = (role.rule, &role.rule.role);
            let held = seen.has(name);
            let differs = role.known.as_ref().is_some_and(|known| known.held != held);
            let ours = done.iter().any(|open| open.role == *name);
            if !differs || ours || role.left_open {
                continue;
            }
            let answered = self.writes && plan.changes().iter().any(|(changed, _)| changed == name);
            let plays = standing.plays(rule);
            foreign_changes::seen(tx, claim, rule, (held, answered), plays).await?;
        }
        Ok(())
    }

    /// Brings the audit in line with the profile and the plan. Returns the rows of the plan. Unless writes are off,
    /// these rows are marked as about to be written.
    pub(super) async fn audit(
        &self,
        tx: &mut Tx<'_>,
        claim: &Claim,
        standing: &Evaluation<'_>,
        seen: &SeenRoles,
        plan: &Plan,
    ) -> Result<Vec<Uuid>, StoreError> {
        let (done, undone): (Vec<_>, Vec<_>) = standing
            .open
            .iter()
            .partition(|open| seen.has(&open.role) == open.granted);
        let user = claim.user.as_str();
        let ids: Vec<Uuid> = done.iter().map(|open| open.id).collect();
        let foreign = foreign_changes::not_ours(tx, user, &ids).await?;
        let done: Vec<_> = done
            .into_iter()
            .filter(|open| !foreign.contains(&open.id))
            .collect();
        let ids: Vec<Uuid> = done.iter().map(|open| open.id).collect();
        role_changes::confirmed(tx, user, &ids).await?;
        for open in &done {
            self.count_confirmed(Change::to(open.granted));
        }
        role_changes::close(tx, &foreign, "superseded").await?;
        self.audit_foreign(tx, claim, standing, seen, (plan, &done))
            .await?;
        let (mut rows, mut again) = (Vec::new(), Vec::new());
        let mut dropped: Vec<Uuid> = undone.iter().map(|open| open.id).collect();
        for (role, change) in plan.changes() {
            let granted = *change == Change::Granted;
            let same = |open: &&&OpenChange| open.role == *role && open.granted == granted;
            // With writes off, an open change will not be written: it is closed below.
            if let Some(open) = undone.iter().find(same).filter(|_| self.writes) {
                dropped.retain(|id| *id != open.id);
                rows.push(open.id);
                again.push(open.id);
                continue;
            }
            let Some(of) = standing.roles.iter().find(|one| one.rule.role == *role) else {
                continue;
            };
            // In shadow mode each attempt makes the same decision; the audit has it once.
            let decided_before = !self.writes
                && of
                    .known
                    .as_ref()
                    .is_some_and(|known| known.wanted == of.decision.wanted)
                && role_changes::is_shadowed(tx, claim, role, *change).await?;
            if !decided_before {
                rows.push(
                    role_changes::decide(
                        tx,
                        claim,
                        (of.rule, *change, of.pin.as_ref().map(|_| Reason::Pinned)),
                        standing.plays(of.rule),
                        !self.writes,
                    )
                    .await?,
                );
                if !self.writes {
                    self.metrics
                        .role_changes
                        .of((*change, ChangeOutcome::Shadow))
                        .inc();
                }
            }
        }
        role_changes::attempt_again(tx, &again).await?;
        role_changes::close(tx, &dropped, "superseded").await?;
        Ok(rows)
    }
}
