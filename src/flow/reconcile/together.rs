//! Plain decisions and their results, stored together with those of other attempts.
//!
//! Owns the two transactions of a batch. Must never store a decision after which its write could come too late, nor fail an
//! attempt because of another: what a batch does not store is decided or recorded alone.

use std::sync::Arc;

use tracing::debug;
use uuid::Uuid;

use super::attempt::Attempt;
use super::context::Context;
use super::decision::ToWrite;
use super::observe::Observed;
use super::own_writes;
use super::plain;
use super::plain_write::{Asked, Plain, Written};
use super::race::Races;
use crate::auth0::Profile;
use crate::store::decisions::{self, Decision};
use crate::store::profile_writes::ReadBefore;
use crate::store::results::{self, Done};
use crate::store::{Claim, StoreError, Tx, users};
use rolekeeper_domain::brake::Verdict;
use rolekeeper_domain::held::Held;
use rolekeeper_domain::patch::Patch;
use rolekeeper_domain::plan::{RoleChange, SeenRoles};
use rolekeeper_domain::rule::Rule;

impl Attempt {
    /// Decides together with other attempts. None where the user must be decided alone.
    pub(super) async fn decide_together(&mut self, observed: &Observed) -> Option<Box<ToWrite>> {
        let pass = [RoleChange::Granted, RoleChange::Revoked];
        let passes = |change: &RoleChange| self.permission.verdict(*change) == Some(Verdict::Pass);
        let pass: Vec<RoleChange> = pass.into_iter().filter(passes).collect();
        // Whether a user who was gone has another account now is asked alone.
        if self.claim.was_gone || pass.is_empty() || !self.permit.write_may_follow(&observed.rate) {
            return None;
        }
        let asked = Asked {
            claim: self.claim.clone(),
            profile: Arc::clone(&observed.profile),
            pass,
            until: observed.until,
        };
        let context = Arc::clone(&self.context);
        let serve = |asked: Vec<Asked>| decide_all(&context, asked);
        let plain = context.decisions.ask(asked, serve).await??;
        self.claim.cause = plain.cause;
        // The response to the write counts as requested at this time.
        self.claim.asked_at = plain.at;
        Some(Box::new(ToWrite {
            patch: Patch::new(plain.plan, false, None),
            changes: plain.changes,
            request: None,
            write: Some(plain.write),
            races: Races::default(),
            generation: plain.generation,
            braked: Held::default(),
            suppressed: vec![],
            doubtful: vec![],
            plain: Some(plain.remains),
        }))
    }

    /// Records a plain write together with other attempts. Returns false where it must be recorded alone.
    pub(super) async fn record_together(&self, write: &ToWrite, after: &Arc<Profile>) -> bool {
        let (Some(remains), Some(id)) = (&write.plain, write.write) else {
            return false;
        };
        if !after.is_whole() {
            return false;
        }
        let written = Written {
            claim: self.claim.clone(),
            generation: write.generation,
            write: id,
            at: own_writes::at(after),
            changes: write.changes.clone(),
            remains: remains.clone(),
            after: Arc::clone(after),
        };
        let context = &self.context;
        let serve = |written: Vec<Written>| record_all(context, written);
        let recorded = context.results.ask(written, serve).await == Some(true);
        if recorded {
            self.report_written(&write.patch);
        }
        recorded
    }
}

/// Decides all, or none of them where one stands in the way.
async fn decide_all(context: &Context, asked: Vec<Asked>) -> Option<Vec<Option<Box<Plain>>>> {
    let decided = try_decide(context, &asked).await;
    let failed = |why: &StoreError| debug!(users = asked.len(), "decided one by one: {why}");
    decided.inspect_err(failed).ok()
}

/// Records all, or none of them where one stands in the way.
async fn record_all(context: &Context, written: Vec<Written>) -> Option<Vec<bool>> {
    let recorded = try_record(context, &written).await;
    let failed = |why: &StoreError| {
        if why.is_locked() {
            // Recorded alone, the users with locked rows do not wait again.
            context.locks.found();
        }
        debug!(users = written.len(), "recorded one by one: {why}");
    };
    recorded.inspect_err(failed).ok()
}

/// Decides in one transaction. None for a user who must be decided alone.
async fn try_decide(context: &Context, asked: &[Asked]) -> Result<Vec<Option<Box<Plain>>>, StoreError> {
    let mut tx = context.store.begin_look_ups().await?;
    let claims: Vec<&Claim> = asked.iter().map(|one| &one.claim).collect();
    let ours = decisions::lock(&mut tx, &claims).await?;
    let users = claims.iter().zip(&ours).filter(|(_, ours)| ours.is_some());
    let users: Vec<&str> = users.map(|(claim, _)| claim.user.as_str()).collect();
    let mut snapshots = context.snapshots(&mut tx, &users).await?.into_iter();
    let decided = asked.iter().zip(ours).map(|(one, ours)| {
        let (ours, snapshot) = ours.and_then(|ours| Some((ours, snapshots.next()?)))?;
        plain::decide(context, one, ours, snapshot).map(Box::new)
    });
    let mut decided: Vec<Option<Box<Plain>>> = decided.collect();
    leave_new_accounts(&mut tx, asked, &mut decided).await?;
    let each = || asked.iter().zip(&decided);
    let read: Vec<_> = each().map(|(one, _)| list(one.profile.roles())).collect();
    let claims: Vec<Claim> = each().map(|(one, plain)| caused(one, plain.as_deref())).collect();
    let stored = each()
        .zip(read.iter().zip(&claims))
        .filter_map(|((one, plain), (read, claim))| {
            let plain = plain.as_deref()?;
            Some(Decision {
                claim,
                changes: changes(context, plain),
                write: plain.write,
                read: ReadBefore {
                    roles: read,
                    updated_at: own_writes::at(&one.profile),
                    date: one.profile.date(),
                    created_at: one.profile.created_at(),
                },
                wrote: plain.plan.roles_after(),
            })
        });
    let stored: Vec<Decision<'_>> = stored.collect();
    if !stored.is_empty() {
        decisions::store(&mut tx, &stored).await?;
    }
    tx.commit().await?;
    crash_point!("decided");
    Ok(decided)
}

/// Leaves out users whose account was made since the last read of the id: the roles of the earlier one are none of ours there.
async fn leave_new_accounts(
    tx: &mut Tx<'_>,
    asked: &[Asked],
    decided: &mut [Option<Box<Plain>>],
) -> Result<(), StoreError> {
    let earlier = |plain: &Option<Box<Plain>>| plain.as_ref().is_some_and(|plain| plain.earlier);
    let with = asked.iter().zip(&*decided).filter(|(_, plain)| earlier(plain));
    let with: Vec<&str> = with.map(|(one, _)| one.claim.user.as_str()).collect();
    if with.is_empty() {
        return Ok(());
    }
    let created = users::created_at(tx, &with).await?;
    for (one, plain) in asked.iter().zip(decided) {
        let before = created.get(one.claim.user.as_str()).copied();
        if earlier(plain) && before.is_some_and(|before| one.profile.created_at() > Some(before)) {
            *plain = None;
        }
    }
    Ok(())
}

/// Records in one transaction. False for a user who must be recorded alone.
async fn try_record(context: &Context, written: &[Written]) -> Result<Vec<bool>, StoreError> {
    let mut tx = context.store.begin_look_ups().await?;
    let users: Vec<&str> = written.iter().map(|one| one.claim.user.as_str()).collect();
    let free = context.free(&mut tx, &users).await?;
    let free = written.iter().zip(free).filter(|(_, free)| *free);
    let done = free.map(|(one, _)| Done {
        claim: &one.claim,
        generation: one.generation,
        write: one.write,
        at: one.at,
        changes: &one.changes,
        profile: one.after.json(),
        left: one.remains.seen(&one.after.roles()),
        again_at: one.remains.again_at,
    });
    let done: Vec<Done<'_>> = done.collect();
    let noted = results::answered(&mut tx, &done).await?;
    let is_noted = |one: &&Done<'_>| noted.contains(&one.write);
    let recorded: Vec<&Done<'_>> = done.iter().filter(is_noted).collect();
    if !recorded.is_empty() {
        results::store(&mut tx, &recorded).await?;
    }
    tx.commit().await?;
    crash_point!("recorded");
    Ok(written.iter().map(|one| noted.contains(&one.write)).collect())
}

/// The claim with the event that causes the decision by now.
fn caused(asked: &Asked, plain: Option<&Plain>) -> Claim {
    let mut claim = asked.claim.clone();
    if let Some(plain) = plain {
        claim.cause.clone_from(&plain.cause);
    }
    claim
}

/// The changes of a plan, each with its row, its rule and the plays that the rule counted.
fn changes<'a>(context: &'a Context, plain: &Plain) -> Vec<(Uuid, &'a Rule, RoleChange, i64)> {
    let rules = context.rules.as_slice();
    let rows = plain.changes.iter().zip(&plain.plays);
    let changes = plain.plan.changes().iter().zip(rows);
    let with_rule = changes.filter_map(|((role, change), (id, plays))| {
        let rule = rules.iter().find(|rule| rule.role == *role)?;
        Some((*id, rule, *change, *plays))
    });
    with_rule.collect()
}

fn list(seen: SeenRoles) -> Vec<String> {
    match seen {
        SeenRoles::List(roles) => roles,
        SeenRoles::Missing | SeenRoles::Odd(_) => vec![],
    }
}
