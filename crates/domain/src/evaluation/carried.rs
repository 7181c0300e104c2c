//! A role of a linked or moved id, carried to the primary.
//!
//! Owns whether a role that the primary has is ours afterwards. Must never adopt a role that the primary had before a link; a
//! moved person keeps what was ours.

use time::OffsetDateTime;

use super::Role;

/// A role of the primary after a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one row, each on its own")]
pub struct Carried {
    /// The last decision: of either id.
    pub wanted: bool,
    /// The primary has it.
    pub has_role: bool,
    /// Rolekeeper may revoke it.
    pub adopted: bool,
    /// Time of the last change of `has_role`.
    pub since: OffsetDateTime,
    /// Time since which the person has been below the threshold while the role is kept.
    pub below_since: Option<OffsetDateTime>,
    /// Another client removed it and it is left so.
    pub suppressed: bool,
    /// The role came with the link or the move: another client gave the primary what the other id had from us.
    pub came: bool,
    /// The primary has the role, and was never read before the link: the role counts as given by hand.
    pub unknown: bool,
}

/// The known facts about the primary's profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of one profile, each on its own"
)]
pub struct Sight {
    /// It has the role now.
    pub shown: bool,
    /// It was read before the link.
    pub read_before: bool,
    /// Only a search at Auth0 has shown that it has the role, maybe after another client had merged the role into it.
    pub only_found: bool,
    /// Another client may have removed the role from the other id before.
    pub removed: bool,
    /// The operator moved the person to it: a role that it has is the one that the person had, whenever it was read first.
    pub moved: bool,
}

/// The primary's role after `secondary` was linked or moved to it; none if that id has nothing to carry.
#[must_use]
pub fn carried(
    primary: &Role<'_>,
    secondary: &Role<'_>,
    sight: Sight,
    now: OffsetDateTime,
) -> Option<Carried> {
    if secondary.known.is_none() && !secondary.is_ours() {
        return None;
    }
    let (known, theirs) = (primary.known.as_ref(), secondary.known.as_ref());
    let stored = known.is_some_and(|known| known.has_role);
    let held_before = stored && !sight.only_found;
    let adopted_before = known.is_some_and(|known| known.adopted);
    let ours = sight.shown && secondary.is_ours();
    let new = ours && !held_before;
    let came = (new && sight.read_before) || (ours && sight.moved && !(held_before && adopted_before));
    let wanted_before = known.is_some_and(|known| known.wanted);
    let wanted_there = theirs.is_some_and(|theirs| theirs.wanted) || secondary.is_ours();
    // The person held it: its absence is treated as at the other id.
    let missed = sight.removed && !sight.shown && secondary.is_ours();
    let has_role = held_before || came || missed || (stored && sight.shown);
    let suppressed =
        known.is_some_and(|known| known.suppressed) || theirs.is_some_and(|theirs| theirs.suppressed);
    let since = if came || (missed && !held_before) {
        theirs.filter(|theirs| theirs.has_role).map(|theirs| theirs.since)
    } else {
        known.map(|known| known.since)
    };
    Some(Carried {
        wanted: wanted_before || wanted_there,
        has_role,
        adopted: came || missed || adopted_before,
        since: since.unwrap_or(now),
        below_since: if wanted_before { known } else { theirs }.and_then(|one| one.below_since),
        suppressed: suppressed && !has_role,
        came,
        unknown: new && !came,
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::evaluation::Evaluation;
    use crate::rule::Rules;
    use crate::snapshot::{Assignment, Facts, OpenChange, Snapshot};

    const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
    const ROLE: &str = "playlist_editor";

    /// A user with this stored role: wanted, `has_role`, adopted.
    fn user(stored: Option<(bool, bool, bool)>, granting: bool) -> Snapshot {
        let assignment = |(wanted, has_role, adopted)| Assignment {
            role: ROLE.to_owned(),
            wanted,
            has_role,
            adopted,
            since: NOON - time::Duration::hours(1),
            below_since: None,
            suppressed: false,
            fresh: true,
        };
        let open = OpenChange {
            id: uuid::Uuid::nil(),
            role: ROLE.to_owned(),
            granted: true,
            restore: false,
        };
        let facts = Facts {
            best: 0,
            total: 0,
            now: NOON,
        };
        Snapshot {
            assignments: stored.map(assignment).into_iter().collect(),
            open: granting.then_some(open).into_iter().collect(),
            ..Snapshot::of_facts(facts)
        }
    }

    fn carry(
        primary: Option<(bool, bool, bool)>,
        secondary: (Option<(bool, bool, bool)>, bool),
        (shown, read_before): (bool, bool),
        moved: bool,
    ) -> Option<(bool, bool, bool, bool, bool)> {
        let seen = Sight {
            shown,
            read_before,
            only_found: false,
            removed: false,
            moved,
        };
        carry_by(primary, secondary, seen)
    }

    fn carry_by(
        primary: Option<(bool, bool, bool)>,
        secondary: (Option<(bool, bool, bool)>, bool),
        sight: Sight,
    ) -> Option<(bool, bool, bool, bool, bool)> {
        let rules = Rules::default();
        let primary = Evaluation::of(user(primary, false), &rules);
        let secondary = Evaluation::of(user(secondary.0, secondary.1), &rules);
        let carried = carried(&primary.roles[0], &secondary.roles[0], sight, NOON)?;
        Some((
            carried.wanted,
            carried.has_role,
            carried.adopted,
            carried.came,
            carried.unknown,
        ))
    }

    #[test]
    fn a_merged_role_is_ours_only_where_it_was_ours_before() {
        let ours = (Some((true, true, true)), false);
        let by_hand = (Some((false, true, false)), false);
        for (primary, secondary, seen, after) in [
            // the app merged the role into a primary that was read without it
            (None, ours, (true, true), Some((true, true, true, true, false))),
            (
                Some((false, false, false)),
                ours,
                (true, true),
                Some((true, true, true, true, false)),
            ),
            // never read before the link: counts as given by hand
            (None, ours, (true, false), Some((true, false, false, false, true))),
            // held by hand before the link
            (
                Some((false, true, false)),
                ours,
                (true, true),
                Some((true, true, false, false, false)),
            ),
            // not merged: the role is granted by the usual way
            (
                None,
                ours,
                (false, true),
                Some((true, false, false, false, false)),
            ),
            // a grant of ours without a recorded result
            (
                None,
                (None, true),
                (true, true),
                Some((true, true, true, true, false)),
            ),
            // given by hand to the linked id
            (
                None,
                by_hand,
                (true, true),
                Some((false, false, false, false, false)),
            ),
            (None, (None, false), (true, true), None),
        ] {
            assert_eq!(
                carry(primary, secondary, seen, false),
                after,
                "{primary:?} {secondary:?} {seen:?}"
            );
        }
    }

    #[test]
    fn a_role_that_only_a_search_has_shown_counts_as_unread() {
        let (found, ours) = (Some((false, true, false)), (Some((true, true, true)), false));
        let by_hand = (Some((false, true, false)), false);
        for (secondary, shown, read_before, after) in [
            // read without the role, which another client merged before the search
            (ours, true, true, (true, true, true, true, false)),
            (ours, true, false, (true, true, false, false, true)),
            // the search was older
            (ours, false, true, (true, false, false, false, false)),
            (by_hand, true, true, (false, true, false, false, false)),
        ] {
            let sight = Sight {
                shown,
                read_before,
                only_found: true,
                removed: false,
                moved: false,
            };
            let carried = carry_by(found, secondary, sight);
            assert_eq!(carried, Some(after), "{secondary:?} {shown} {read_before}");
        }
    }

    #[test]
    fn a_moved_person_keeps_what_was_ours() {
        let ours = (Some((true, true, true)), false);
        let kept = Some((true, true, true, true, false));
        let by_hand = Some((false, true, false));
        for (primary, seen, after) in [
            // made again with its metadata: read before the move, or not
            (by_hand, (true, true), kept),
            (None, (true, false), kept),
            // ours already
            (
                Some((true, true, true)),
                (true, true),
                Some((true, true, true, false, false)),
            ),
            // made again without
            (None, (false, true), Some((true, false, false, false, false))),
        ] {
            assert_eq!(carry(primary, ours, seen, true), after, "{primary:?} {seen:?}");
        }
        let never_ours = (by_hand, false);
        let after = Some((false, true, false, false, false));
        assert_eq!(carry(by_hand, never_ours, (true, true), true), after);
    }

    #[test]
    fn a_role_removed_before_the_link_is_missed_at_the_primary() {
        let rules = Rules::default();
        let primary = Evaluation::of(user(None, false), &rules);
        let secondary = Evaluation::of(user(Some((true, true, true)), false), &rules);
        let sight = Sight {
            shown: false,
            read_before: true,
            only_found: false,
            removed: true,
            moved: false,
        };
        let carried = carried(&primary.roles[0], &secondary.roles[0], sight, NOON).expect("a role");
        assert!(carried.has_role && carried.adopted && !carried.came);
        assert_eq!(carried.since, NOON - time::Duration::hours(1));
    }
}
