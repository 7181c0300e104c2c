//! Third step: the decision, and its audit.
//!
//! Owns the second transaction: it decides from the facts as they are now, and commits the audit before anything is
//! sent. Must never decide for a user whose lease is lost, nor wait for a brake.

use std::sync::Arc;

use tracing::{info, warn};

use super::attempt::{Attempt, AttemptError, Completed};
use super::decision::{Decided, ToWrite};
use super::gone::Account;
use super::observe::Observed;
use super::race::Races;
use super::record::keep;
use super::{hidden, own_writes};
use crate::auth0::{CallError, Profile};
use crate::metrics::Unsent;
use crate::store::role_changes::Reason;
use crate::store::{StoreError, Tx, leases, outdated_reads};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::held::Held;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::patch::Patch;
use rolekeeper_domain::person::Person;
use rolekeeper_domain::plan::{Plan, RoleChange, plan};

/// The state of the lease when the decision begins.
enum Lease {
    /// The user is still ours, as of this generation.
    Ours { generation: i64 },
    /// Another attempt has the user.
    Lost,
    /// The user was given back, to be read again.
    Returned,
}

/// The plan that the profile and the facts call for.
struct Planned {
    plan: Plan,
    races: Races,
    /// The changes left out of the plan.
    braked: Held,
    /// Roles that another client removed and that the rules leave removed.
    suppressed: Vec<String>,
}

/// The reason why there is no plan.
enum Unplanned {
    /// The operator has to act on the profile.
    Parked { why: String, races: Races },
    /// A change was not expected.
    Unasked(RoleChange),
}

impl Attempt {
    /// Decides from the facts as they are now and writes the decision to the audit.
    pub(super) async fn decide(&mut self, observed: &Observed) -> Result<Decided, AttemptError> {
        let profile = &observed.profile;
        let context = Arc::clone(&self.context);
        let _single = context.single.acquire().await;
        let mut tx = self.context.store.begin_bounded().await?;
        let generation = match self.check_lease(&mut tx, observed).await? {
            Lease::Ours { generation } => generation,
            Lease::Lost => return Ok(Decided::Nothing(Completed::Done)),
            Lease::Returned => {
                tx.commit().await.map_err(StoreError::from)?;
                crash_point!("given_back");
                return Ok(Decided::Nothing(Completed::Requeued));
            }
        };
        let user = self.claim.user.as_str();
        context.refuse_locked(&mut tx, user).await?;
        hidden::doubted(&mut tx, user, profile).await?;
        let mut evaluation = self.context.evaluate(&mut tx, user, Some(profile)).await?;
        if let Some(ids) = differing(&evaluation.person, profile).filter(|_| !self.person_kept) {
            return Ok(Decided::OtherPerson(ids));
        }
        if evaluation.person.alias_of.is_some() {
            // The account shows no list of ids, so the link stays as it is.
            leases::finish(&mut tx, &self.claim, generation, None).await?;
            tx.commit().await.map_err(StoreError::from)?;
            crash_point!("link_stays");
            return Ok(Decided::Nothing(Completed::Done));
        }
        // Where links were stored, it was compared before them: what came with them is the account's.
        if !self.person_kept
            && (self.same_account(&mut tx, profile, &evaluation).await? != Account::Same
                || self.end_earlier_name(&mut tx, profile, &evaluation.names).await?)
        {
            evaluation = self.context.evaluate(&mut tx, user, Some(profile)).await?;
        }
        evaluation.forbid(&self.context.restores.forbidden);
        let planned = match self.plan(&mut tx, profile, &mut evaluation).await? {
            Ok(planned) => planned,
            Err(Unplanned::Unasked(change)) => return Ok(Decided::Unasked(change)),
            Err(Unplanned::Parked { why, races }) => {
                warn!(user.id = user, "parked for the operator: {why}");
                keep(&mut tx, &self.claim, profile).await?;
                leases::park(&mut tx, &self.claim, &why, None).await?;
                tx.commit().await.map_err(StoreError::from)?;
                crash_point!("parked");
                self.report_races(&races);
                return Ok(Decided::Nothing(Completed::Done));
            }
        };
        let mut write = self
            .audit_plan(&mut tx, profile, &evaluation, planned, generation)
            .await?;
        if write.patch.is_empty() || !self.context.writes {
            let completed = self.record_attempt(&mut tx, &evaluation, &write, profile).await?;
            tx.commit().await.map_err(StoreError::from)?;
            crash_point!("nothing_to_write");
            self.report_races(&write.races);
            return Ok(Decided::Nothing(completed));
        }
        self.prepare_write(&mut tx, observed, &mut write).await?;
        observed.in_time()?;
        tx.commit().await.map_err(StoreError::from)?;
        crash_point!("decided");
        self.report_races(&write.races);
        // The response to the write counts as requested at this time.
        self.claim.asked_at = evaluation.now();
        Ok(Decided::Write(Box::new(write)))
    }

    /// Locks the user's row in the queue, and gives the user back if the profile is too old for a decision.
    async fn check_lease(&mut self, tx: &mut Tx<'_>, observed: &Observed) -> Result<Lease, AttemptError> {
        let Some(ours) = leases::still_ours(tx, &self.claim).await? else {
            info!(
                user.id = self.claim.user.as_str(),
                "another attempt has taken the user over; nothing was written"
            );
            return Ok(Lease::Lost);
        };
        if ours.flapping {
            // The next event is likely to undo a decision made now.
            leases::debounce(tx, &self.claim).await?;
            return Ok(Lease::Returned);
        }
        self.claim.cause = ours.cause;
        if self.permission.expects() {
            // Postgres is slow: a decision made now could not be written in time.
            observed.in_time()?;
        }
        if ours.read_again || self.is_outdated(tx, &observed.profile).await? {
            leases::reread(tx, &self.claim).await?;
            return Ok(Lease::Returned);
        }
        Ok(Lease::Ours {
            generation: ours.generation,
        })
    }

    /// Whether the profile shows a state before our last write.
    async fn is_outdated(&self, tx: &mut Tx<'_>, profile: &Profile) -> Result<bool, StoreError> {
        let (user, Some(at)) = (self.claim.user.as_str(), own_writes::at(profile)) else {
            return Ok(false);
        };
        let outdated = outdated_reads::is_outdated(tx, user, at).await?;
        if outdated {
            info!(
                user.id = user,
                "the read shows the profile as it was before our last write; it is read again"
            );
        }
        Ok(outdated)
    }

    /// Compares the profile with what the user should hold, and leaves out what is held.
    async fn plan(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        evaluation: &mut Evaluation<'_>,
    ) -> Result<Result<Planned, Unplanned>, StoreError> {
        let seen = profile.roles();
        let mut races = self.races(tx, profile, evaluation).await?;
        let base = races.base(&seen);
        races.removals = self.removals(tx, evaluation, &seen).await?;
        let suppressed = self.externally_removed(evaluation, &seen);
        let full = match plan(&base, &evaluation.wants()) {
            Ok(plan) => plan,
            Err(why) => return Ok(Err(Unplanned::Parked { why, races })),
        };
        let braked = match self.brake(evaluation, &full) {
            Ok(braked) => braked,
            Err(unasked) => return Ok(Err(Unplanned::Unasked(unasked))),
        };
        let plan = braked.drop_held(full, &base, evaluation);
        Ok(Ok(Planned {
            plan,
            races,
            braked,
            suppressed,
        }))
    }

    /// Writes the plan to the audit, adds the name to be written, and returns both as the write that may follow.
    async fn audit_plan(
        &self,
        tx: &mut Tx<'_>,
        profile: &Profile,
        evaluation: &Evaluation<'_>,
        planned: Planned,
        generation: i64,
    ) -> Result<ToWrite, StoreError> {
        let Planned {
            plan,
            races,
            braked,
            suppressed,
        } = planned;
        let seen = profile.roles();
        let mut changes = self.audit(tx, evaluation, &seen, &plan).await?;
        let reason = races.strayed.then_some(Reason::UserDeleted);
        let restored = (races.restored.as_slice(), races.released, reason);
        changes.extend(
            self.audit_restores(tx, &evaluation.restores, &seen, restored)
                .await?,
        );
        let (name_change, request) = match self.name(tx, profile, &evaluation.names).await? {
            Some(named) => (Some(named.name_change), named.request),
            None => (None, None),
        };
        Ok(ToWrite {
            patch: Patch::new(plan, races.restores(), name_change),
            changes,
            request,
            write: None,
            races,
            generation,
            braked,
            suppressed,
            doubtful: evaluation.left_open(),
            plain: None,
        })
    }

    /// Checks that the rate limit leaves room for the write, and notes a write of roles before it is sent.
    async fn prepare_write(
        &self,
        tx: &mut Tx<'_>,
        observed: &Observed,
        write: &mut ToWrite,
    ) -> Result<(), AttemptError> {
        if !self.permit.write_may_follow(&observed.rate) {
            self.context
                .metrics
                .reconcile
                .unsent
                .of(Unsent::NothingLeft)
                .inc();
            return Err(AttemptError::Call {
                error: CallError::Limited,
                rate: observed.rate,
            });
        }
        if write.patch.roles().is_some() {
            let user = self.claim.user.as_str();
            let since = write.races.since;
            let row = own_writes::attempt(tx, user, &observed.profile, (&write.patch, since)).await?;
            write.write = Some(row);
        }
        Ok(())
    }

    /// Asks the brake for a change that was not expected.
    pub(super) async fn ask_late(&mut self, change: RoleChange) -> Result<(), StoreError> {
        let context = &self.context;
        let mut tx = context.store.begin().await?;
        self.permission.ask(context, &mut tx, &self.claim, change).await?;
        tx.commit().await?;
        crash_point!("asked_late");
        self.permission.report_engaged(&context.brake);
        Ok(())
    }
}

/// The ids that the profile shows as linked, if they differ from the stored ones.
pub(super) fn differing(stored: &Person, profile: &Profile) -> Option<Vec<UserId<'static>>> {
    let shown = profile.identities()?;
    let ids: Vec<&str> = shown.iter().map(UserId::as_str).collect();
    stored.differs(&ids).then_some(shown)
}
