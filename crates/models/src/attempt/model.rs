//! The model of attempts: what may happen at most, and the rules.
//!
//! Owns the snapshot of the stored rows, from which the domain evaluates. Must never decide.

use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::rule::Rules;
use rolekeeper_domain::snapshot::{Assignment, Facts, OpenChange, Snapshot};
use uuid::Uuid;

use super::state::Left;
use super::tables::{Assigned, Change, Tables};
use super::tenant::{NAMES, written_at};

/// The model: what may happen at most, and the rules.
#[derive(Clone, Debug)]
pub struct Attempts {
    pub(super) left: Left,
    rules: Rules,
}

impl Attempts {
    /// A model in which this may happen, under the default rule.
    #[must_use]
    pub fn new(left: Left) -> Self {
        Self {
            left,
            rules: Rules::default(),
        }
    }

    /// All that a decision needs, as it is stored.
    fn snapshot(&self, tables: &Tables) -> Snapshot {
        let rule = &self.rules.as_slice()[0];
        let facts = Facts {
            best: if tables.earned {
                rule.grant_at
            } else {
                rule.revoke_below - 1
            },
            total: 0,
            now: written_at(u8::MAX),
        };
        let assignment = |assigned: Assigned| Assignment {
            role: NAMES[0].to_owned(),
            wanted: assigned.wanted,
            has_role: assigned.has_role,
            adopted: assigned.adopted,
            since: written_at(0),
            below_since: None,
            suppressed: false,
            fresh: assigned.fresh,
        };
        let open = |change: &Change| OpenChange {
            id: Uuid::from_u128(u128::from(change.id)),
            role: NAMES[0].to_owned(),
            granted: change.granted,
            restore: false,
        };
        Snapshot {
            assignments: tables.assigned.map(assignment).into_iter().collect(),
            open: tables.open.iter().map(open).collect(),
            unrecorded: tables.unrecorded(),
            foreign_writes: tables.records.iter().any(|record| record.verdict != Some(false)),
            loss: tables.loss,
            ..Snapshot::of_facts(facts)
        }
    }

    pub(super) fn evaluation(&self, tables: &Tables) -> Evaluation<'_> {
        Evaluation::of(self.snapshot(tables), &self.rules)
    }
}
