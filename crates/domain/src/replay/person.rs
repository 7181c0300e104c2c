//! One person in a replay: counts, and the roles that the rules decide.
//!
//! Owns the timers of the rules. Must never decide a role by itself: [`Evaluation`] does.

use std::sync::Arc;

use time::OffsetDateTime;

use super::report::{Change, Crossing, User};
use crate::evaluation::{Evaluation, measured};
use crate::plan::RoleChange;
use crate::rule::{Rule, Rules, Shown};
use crate::snapshot::{Assignment, Facts, Snapshot};

/// Crossings and changes that are kept of one user, each.
const KEPT: usize = 100;

/// The counts of one person.
#[derive(Debug, Default)]
pub(super) struct Person<'r> {
    /// The person's playlists.
    pub(super) playlists: Vec<usize>,
    pub(super) best: i64,
    pub(super) total: i64,
    /// Playlists of the person whose count is not known.
    pub(super) uncertain: bool,
    /// The person was erased: crossings are neither kept nor summed.
    pub(super) is_erased: bool,
    /// The crossings of a person who has crossed a threshold.
    pub(super) crossed: Option<Box<Crossed<'r>>>,
}

impl Person<'_> {
    /// The counts, at this time.
    pub(super) fn facts(&self, now: OffsetDateTime) -> Facts {
        Facts {
            best: self.best,
            total: self.total,
            now,
        }
    }
}

/// A person who has crossed a threshold. There may be very many.
#[derive(Debug)]
pub(super) struct Crossed<'r> {
    pub(super) user: User<'r>,
    /// In the order of the rules.
    roles: Box<[RoleState]>,
    again_at: Option<OffsetDateTime>,
    /// Roles whose state at the start is not known.
    pub(super) began_between: u64,
}

/// The state of one role.
#[derive(Debug)]
struct RoleState {
    wanted: bool,
    has_role: bool,
    since: OffsetDateTime,
    below_since: Option<OffsetDateTime>,
    /// It was changed since the start.
    is_changed: bool,
}

impl RoleState {
    fn assignment(&self, rule: &Rule) -> Assignment {
        Assignment {
            role: rule.role.clone(),
            wanted: self.wanted,
            has_role: self.has_role,
            adopted: true,
            since: self.since,
            below_since: self.below_since,
            suppressed: false,
            fresh: true,
        }
    }
}

impl<'r> Crossed<'r> {
    /// A person with these counts at the start. A role is held if the count reaches `grant_at`.
    pub(super) fn at_start(facts: Facts, rules: &'r Rules) -> Self {
        let evaluation = Evaluation::of(snapshot(facts, vec![]), rules);
        let roles = evaluation.roles.iter().map(|role| RoleState {
            wanted: role.decision.wanted,
            has_role: role.decision.wanted,
            since: facts.now,
            below_since: None,
            is_changed: false,
        });
        let between = rules.as_slice().iter().filter(|rule| {
            let plays = measured(rule, &facts);
            (rule.revoke_below..rule.grant_at).contains(&plays)
        });
        Self {
            user: User::default(),
            roles: roles.collect(),
            again_at: None,
            began_between: between.count() as u64,
        }
    }

    /// Notes a crossing.
    pub(super) fn crossed(&mut self, crossing: Crossing) {
        self.user.crossed += 1;
        if self.user.crossings.len() < KEPT {
            push(&mut self.user.crossings, crossing);
        }
    }

    /// Decides what timers change up to `facts.now`, by these counts; `changed` is called with the time of each change.
    pub(super) fn settle(
        &mut self,
        facts: Facts,
        rules: &'r Rules,
        changed: &mut dyn FnMut(OffsetDateTime, RoleChange),
    ) {
        while let Some(at) = self.again_at.filter(|at| *at <= facts.now) {
            self.decide(Facts { now: at, ..facts }, rules, None, changed);
        }
    }

    /// Decides by these counts.
    pub(super) fn decide(
        &mut self,
        facts: Facts,
        rules: &'r Rules,
        event_id: Option<&Arc<str>>,
        changed: &mut dyn FnMut(OffsetDateTime, RoleChange),
    ) {
        let assignments = self.roles.iter().zip(rules.as_slice());
        let assignments = assignments.map(|(known, rule)| known.assignment(rule)).collect();
        let evaluation = Evaluation::of(snapshot(facts, assignments), rules);
        for (role, known) in evaluation.roles.iter().zip(&mut self.roles) {
            known.below_since = role.decision.below_since;
            known.wanted = role.decision.wanted;
            let Some(change) = role.pending_change() else {
                continue;
            };
            let granted = change == RoleChange::Granted;
            (known.has_role, known.since) = (granted, facts.now);
            self.user.changed += 1;
            self.user.flaps += u64::from(known.is_changed);
            known.is_changed = true;
            if self.user.changes.len() < KEPT {
                let change = Change {
                    at: facts.now,
                    role: &role.rule.role,
                    granted,
                    event_id: event_id.cloned(),
                };
                push(&mut self.user.changes, change);
            }
            changed(facts.now, change);
        }
        self.again_at = evaluation.again_at();
    }
}

/// Adds to a list that is short for most of very many users: it grows from one entry on.
fn push<T>(list: &mut Vec<T>, entry: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len().max(1));
    }
    list.push(entry);
}

/// A user whose profile meets every condition: events do not tell it.
fn snapshot(facts: Facts, assignments: Vec<Assignment>) -> Snapshot {
    Snapshot {
        assignments,
        shown: Some(Shown {
            blocked: false,
            email_verified: true,
        }),
        ..Snapshot::of_facts(facts)
    }
}
