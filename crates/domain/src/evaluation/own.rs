//! A role of one id before a move, for the end of the move.
//!
//! Owns the facts that the end of a move goes back to. Must never count a role as ours that another client gave.

use super::Role;

/// The state of one role of one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one row, each on its own")]
pub struct Own {
    /// The rules, or a grant under way, gave it the role.
    pub wanted: bool,
    /// It had the role from us.
    pub ours: bool,
    /// Its profile has the role, and not from us.
    pub by_hand: bool,
    /// Another client removed it and it is left so.
    pub suppressed: bool,
}

impl Own {
    /// The state of the role; `shown`: the profile of the id has it now.
    #[must_use]
    pub fn of(role: &Role<'_>, shown: bool) -> Self {
        let known = role.known.as_ref();
        Self {
            wanted: known.is_some_and(|known| known.wanted) || role.is_ours(),
            ours: role.is_ours(),
            by_hand: shown && !role.is_ours(),
            suppressed: known.is_some_and(|known| known.suppressed),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::evaluation::Evaluation;
    use crate::rule::Rules;
    use crate::snapshot::{Assignment, Facts, Snapshot};

    #[test]
    fn a_role_is_by_hand_where_it_is_shown_and_not_ours() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let rules = Rules::default();
        let own = |stored: Option<bool>, shown| {
            let assignment = |adopted| Assignment {
                role: "playlist_editor".to_owned(),
                wanted: adopted,
                has_role: true,
                adopted,
                since: now,
                below_since: None,
                suppressed: false,
                fresh: true,
            };
            let facts = Facts {
                best: 0,
                total: 0,
                now,
            };
            let user = Snapshot {
                assignments: stored.map(assignment).into_iter().collect(),
                ..Snapshot::of_facts(facts)
            };
            let own = Own::of(&Evaluation::of(user, &rules).roles[0], shown);
            (own.wanted, own.ours, own.by_hand)
        };
        assert_eq!(own(Some(true), true), (true, true, false));
        assert_eq!(own(Some(false), true), (false, false, true));
        assert_eq!(own(None, true), (false, false, true));
        assert_eq!(own(None, false), (false, false, false));
    }
}
