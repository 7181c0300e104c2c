//! The summary of a preview: how many users of each kind, and the first of them.
//!
//! Owns its size: it grows with the kinds of changes, not with the users.

use std::collections::BTreeMap;

use super::change::{Change, Left, Mark, Previewed};
use crate::brake::{Brake, Limits, Verdict, judge};
use crate::plan::RoleChange;

/// Users of each kind that a summary names.
const FIRST: usize = 3;

/// A kind of changes: the same role, direction and marks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The role.
    pub role: String,
    /// The direction.
    pub change: RoleChange,
    /// The marks.
    pub marks: Vec<Mark>,
}

/// The changes of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Number of users.
    pub users: u64,
    /// The first users, in the order of ids.
    pub first: Vec<(String, Change)>,
}

/// The summary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Users who would change.
    pub users: u64,
    /// The kinds of changes.
    pub kinds: BTreeMap<Kind, Shown>,
    /// Users whose role stays as it is, by role and reason.
    pub left: BTreeMap<(String, Left), u64>,
    /// Users with a grant that a brake may hold.
    grants: u64,
    /// The same for revokes.
    revokes: u64,
}

impl Summary {
    /// Adds a user.
    pub fn add(&mut self, previewed: &Previewed) {
        for left in &previewed.left {
            *self.left.entry(left.clone()).or_default() += 1;
        }
        let Some(user) = &previewed.changes else {
            return;
        };
        self.users += 1;
        for change in &user.changes {
            let kind = Kind {
                role: change.role.clone(),
                change: change.change,
                marks: change.marks.clone(),
            };
            let shown = self.kinds.entry(kind).or_default();
            shown.users += 1;
            if shown.first.len() < FIRST {
                shown.first.push((user.user.clone(), change.clone()));
            }
        }
        let asks = |of: RoleChange| {
            let mut changes = user.changes.iter();
            changes.any(|change| change.change == of && !change.marks.contains(&Mark::Pinned))
        };
        self.grants += u64::from(asks(RoleChange::Granted));
        self.revokes += u64::from(asks(RoleChange::Revoked));
    }

    /// Users with a change of this kind that a brake may hold: one of a role without a pin.
    #[must_use]
    pub fn asking(&self, change: RoleChange) -> u64 {
        match change {
            RoleChange::Granted => self.grants,
            RoleChange::Revoked => self.revokes,
        }
    }

    /// Whether these changes alone would engage the brake on their kind, of so many holders.
    #[must_use]
    pub fn engages(&self, change: RoleChange, limits: Limits, holders: i64) -> bool {
        let asking = i64::try_from(self.asking(change)).unwrap_or(i64::MAX);
        judge(limits, Brake::Free, asking, holders) == Verdict::Engage
    }
}
