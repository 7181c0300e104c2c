//! Writes decisions to the audit.
//!
//! Owns in which row a change is decided, and how open rows end. Must never complete a row whose change was neither
//! acknowledged by Auth0 nor seen in a profile.

use tracing::warn;
use uuid::Uuid;

use super::attempt::Attempt;
use crate::metrics::{ChangeOutcome, Label as _, Treatment};
use crate::store::role_changes::Reason;
use crate::store::{StoreError, Tx, foreign_changes, role_changes};
use rolekeeper_domain::audit::{self, Row, Rows, by_profile};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::{Plan, RoleChange, SeenRoles};
use rolekeeper_domain::rule::OnExternalRemoval;
use rolekeeper_domain::snapshot::OpenChange;

impl Attempt {
    /// Reports roles that another client removed although the user qualifies for them. Returns the roles that stay
    /// removed by the rule's policy.
    pub(super) fn externally_removed(
        &self,
        evaluation: &mut Evaluation<'_>,
        seen: &SeenRoles,
    ) -> Vec<String> {
        let mut left = Vec::new();
        for (role, manual) in evaluation.externally_removed(seen) {
            let outcome = if manual == OnExternalRemoval::Alert {
                Treatment::Left
            } else {
                Treatment::Restored
            };
            self.context.metrics.externally_removed.of(outcome).inc();
            warn!(
                user.id = self.claim.user.as_str(),
                role,
                outcome = outcome.text(),
                "a role the user qualifies for was removed by another client"
            );
            if manual == OnExternalRemoval::Alert {
                left.push(role.to_owned());
            }
        }
        left
    }

    /// Records which managed roles another client granted or removed: the attempt's profile differs from what an
    /// earlier attempt left or saw, and the difference is none of our own changes in `done`.
    async fn audit_foreign(
        &self,
        tx: &mut Tx<'_>,
        evaluation: &Evaluation<'_>,
        seen: &SeenRoles,
        (plan, done): (&Plan, &[&OpenChange]),
    ) -> Result<(), StoreError> {
        for role in &evaluation.roles {
            let (rule, name) = (role.rule, &role.rule.role);
            let has_role = seen.has(name);
            // An unknown role that is held may be new: the profile of the read before says so.
            let differs = role
                .known
                .as_ref()
                .map_or(has_role, |known| known.has_role != has_role);
            let ours = done.iter().any(|open| open.role == *name);
            if !differs || ours || role.left_open {
                continue;
            }
            let reverted = self.context.writes && plan.changes().iter().any(|(changed, _)| changed == name);
            let plays = evaluation.plays(rule);
            foreign_changes::seen(tx, &self.claim, rule, (has_role, reverted), plays).await?;
        }
        Ok(())
    }

    /// Brings the audit in line with the profile and the plan. Returns the rows of the plan. Unless writes are off,
    /// these rows are marked as about to be written.
    pub(super) async fn audit(
        &self,
        tx: &mut Tx<'_>,
        evaluation: &Evaluation<'_>,
        seen: &SeenRoles,
        plan: &Plan,
    ) -> Result<Vec<Uuid>, StoreError> {
        let (done, not_done) = by_profile(&evaluation.open, seen);
        let user = self.claim.user.as_str();
        let ids: Vec<Uuid> = done.iter().map(|open| open.id).collect();
        let foreign = foreign_changes::not_ours(tx, user, &ids).await?;
        let done: Vec<_> = done
            .into_iter()
            .filter(|open| !foreign.contains(&open.id))
            .collect();
        let ids: Vec<Uuid> = done.iter().map(|open| open.id).collect();
        role_changes::confirmed(tx, user, &ids).await?;
        for open in &done {
            self.count_confirmed(RoleChange::to(open.granted));
        }
        if !done.is_empty() {
            // A write whose response was lost is the slowest of all.
            self.observe_lag();
        }
        role_changes::close(tx, &foreign, "superseded").await?;
        self.audit_foreign(tx, evaluation, seen, (plan, &done)).await?;
        let Rows { of_plan, superseded } = audit::rows(plan, &not_done, self.context.writes);
        let (mut rows, mut again) = (Vec::new(), Vec::new());
        for row in of_plan {
            let (role, change) = match row {
                Row::New(role, change) => (role, change),
                Row::Again(id) => {
                    rows.push(id);
                    again.push(id);
                    continue;
                }
            };
            let Some(of) = evaluation.roles.iter().find(|one| one.rule.role == role) else {
                continue;
            };
            // In shadow mode each attempt makes the same decision; the audit has it once.
            let decided_before = !self.context.writes
                && of
                    .known
                    .as_ref()
                    .is_some_and(|known| known.wanted == of.decision.wanted)
                && role_changes::is_shadowed(tx, &self.claim, role, change).await?;
            if !decided_before {
                rows.push(
                    role_changes::decide(
                        tx,
                        &self.claim,
                        (of.rule, change, of.pin.as_ref().map(|_| Reason::Pinned)),
                        evaluation.plays(of.rule),
                        !self.context.writes,
                    )
                    .await?,
                );
                if !self.context.writes {
                    self.context
                        .metrics
                        .role_changes
                        .of((change, ChangeOutcome::Shadow))
                        .inc();
                }
            }
        }
        role_changes::attempt_again(tx, &again).await?;
        role_changes::close(tx, &superseded, "superseded").await?;
        Ok(rows)
    }
}
