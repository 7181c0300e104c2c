//! The model of attempts: what may happen at most, and the rules.
//!
//! Owns the snapshot of the stored rows, from which the domain evaluates. Must never decide.

use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::rule::{Measure, OnExternalRemoval, Rule, Rules, Shown};
use rolekeeper_domain::snapshot::{Facts, OpenChange, Snapshot};
use uuid::Uuid;

use super::clock::{clock, hour};
use super::rows::{Pinned, Removed};
use super::state::Left;
use super::tables::{Change, Tables};
use super::tenant::{EDITOR, MANAGED, NAMES, OTHER, Tenant};

/// The model: what may happen at most, and the rules.
#[derive(Clone, Debug)]
pub struct Attempts {
    pub(super) left: Left,
    /// The rules in the order in which they come into force.
    rules: Vec<Vec<Rule>>,
    in_force: Vec<Rules>,
    pub(super) forbidden: ForbiddenRoles,
    /// The count of changes is far from the brakes, so that an unexpected change passes unasked.
    pub(super) room: bool,
    /// The role that forged records name.
    forged: u8,
}

impl Attempts {
    /// A model in which this may happen, under the default rule.
    #[must_use]
    pub fn new(left: Left) -> Self {
        Self {
            left,
            rules: vec![Rules::default().as_slice().to_vec()],
            in_force: vec![Rules::default()],
            forbidden: ForbiddenRoles::parse("none"),
            room: true,
            forged: OTHER,
        }
    }

    /// The same with another rule.
    ///
    /// # Panics
    /// A worker would refuse the rule.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Rule)) -> Self {
        change(&mut self.rules[0][0]);
        self.check()
    }

    /// The same with a rule for a second role, by the plays of all playlists.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn with_curators(mut self) -> Self {
        let of = self.rules[0][0].clone();
        self.rules[0].push(Rule {
            role: NAMES[MANAGED[1]].to_owned(),
            of: Measure::AllPlaylists,
            ..of
        });
        self.check()
    }

    /// The same with later rules, which do not name the second role.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn then_without_curators(mut self) -> Self {
        let first = self.rules[0][0].clone();
        self.rules.push(vec![first]);
        self.check()
    }

    /// The same where the managed role is forbidden.
    #[must_use]
    pub fn forbidden(mut self) -> Self {
        self.forbidden = ForbiddenRoles::parse(NAMES[0]);
        self
    }

    /// The same where each change that was not expected must ask its brake.
    #[must_use]
    pub fn without_room(mut self) -> Self {
        self.room = false;
        self
    }

    /// The same where forged records name the managed role.
    #[must_use]
    pub fn with_forged_removals(mut self) -> Self {
        self.forged = EDITOR;
        self
    }

    /// The tenant at the start.
    pub(super) fn tenant(&self, roles: u8) -> Tenant {
        Tenant {
            forged: self.forged,
            ..Tenant::new(roles)
        }
    }

    fn check(mut self) -> Self {
        let checked = self
            .rules
            .iter()
            .map(|rules| Rules::checked(rules.clone()).expect("rules"));
        self.in_force = checked.collect();
        self
    }

    /// The rules with this number.
    pub(super) fn rules(&self, number: u8) -> &[Rule] {
        self.in_force[usize::from(number)].as_slice()
    }

    /// Whether there are rules with this number.
    pub(super) fn has_rules(&self, number: u8) -> bool {
        usize::from(number) < self.in_force.len()
    }

    /// Whether a rule respects or reports removals by hand.
    pub(super) fn leaves(&self, manual: OnExternalRemoval) -> bool {
        self.rules[0].iter().any(|rule| rule.manual == manual)
    }

    /// Whether the role is kept for a while below the threshold.
    pub(super) fn has_grace(&self) -> bool {
        !self.rules[0][0].grace.is_zero()
    }

    /// Whether a rule has conditions.
    pub(super) fn has_conditions(&self) -> bool {
        self.in_force[0].have_conditions()
    }

    /// All that a decision needs, as it is stored.
    fn snapshot(&self, tables: &Tables) -> Snapshot {
        let rule = &self.rules[0][0];
        let plays = |earned: bool| {
            if earned {
                rule.grant_at
            } else {
                rule.revoke_below - 1
            }
        };
        let facts = Facts {
            best: plays(tables.earned),
            total: plays(tables.total),
            now: clock(tables.hours),
        };
        let assigned = MANAGED.iter().zip(tables.assigned);
        let assignments = assigned.filter_map(|(role, assigned)| Some(assigned?.row(*role)));
        let open = |change: &Change| OpenChange {
            id: Uuid::from_u128(u128::from(change.id)),
            role: NAMES[usize::from(change.role)].to_owned(),
            granted: change.granted,
            restore: false,
        };
        let engaged = RoleChange::ALL.into_iter().zip(tables.braked);
        Snapshot {
            shown: tables
                .shown
                .filter(|_| self.has_conditions())
                .map(|blocked| Shown {
                    blocked,
                    email_verified: true,
                }),
            assignments: assignments.collect(),
            pins: tables.pin.map(Pinned::row).into_iter().collect(),
            removals: tables.removal.map(Removed::row).into_iter().collect(),
            open: tables.open.iter().map(open).collect(),
            unrecorded: tables.unrecorded(),
            foreign_writes: tables.records.iter().any(|record| record.verdict != Some(false)),
            loss: tables.loss,
            importing: tables.importing,
            engaged: engaged
                .filter(|(_, engaged)| *engaged)
                .map(|(change, _)| change)
                .collect(),
            ..Snapshot::of_facts(facts)
        }
    }

    /// Evaluates the user by these rules. A pin that has ended is removed.
    pub(super) fn evaluation(&self, tables: &mut Tables, rules: u8) -> Evaluation<'_> {
        let evaluation = Evaluation::of(self.snapshot(tables), &self.in_force[usize::from(rules)]);
        if evaluation.ended_pins {
            tables.pin = None;
        }
        evaluation
    }
}

/// The hour at which a decision changes without an event.
pub(super) fn again_at(evaluation: &Evaluation<'_>) -> Option<u8> {
    evaluation.again_at().map(hour)
}
