//! The way of a search through all users who hold a role; one query shows at most 1,000 of them.
//!
//! Owns the position of the search, and which users of a page count. Users are read in the order of their creation, which never
//! changes: each page begins at the creation time at which the one before ended. So a user who loses or gets the role
//! meanwhile moves no other user, and no user counts twice. Must never trust an order that the page does not show, nor take a
//! page for the last one because it is short.

use std::ops::Range;

use time::OffsetDateTime;

/// Users that one query can reach (Auth0 docs, view-search-results-by-page).
pub const REACHED: u32 = 1_000;

/// The users that are not read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// All.
    #[default]
    Begin,
    /// Created at this time or later.
    From(OffsetDateTime),
    /// Created at this time, without the first `seen`; and all later ones.
    At {
        /// The time that more users share than a page has.
        at: OffsetDateTime,
        /// Users of that time that are read.
        seen: u32,
    },
    /// Created later than this.
    After(OffsetDateTime),
}

/// The result of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These users of the page count; the search continues at the position, or has ended.
    Counted(Range<usize>, Option<Position>),
    /// More users share a creation time than a query can reach.
    Cut,
    /// The page is not in the order of creation, or begins before the position.
    Unordered,
    /// The page is empty, although the query finds users.
    Empty,
}

/// Number of found holders of one role, by what is known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rolekeeper may revoke the role.
    pub ours: i64,
    /// Unadopted; the user would hold the role by our facts too.
    pub earned: i64,
    /// Unadopted; the user would not hold the role by our facts.
    pub unearned: i64,
    /// The profile has to be read first: what is stored of the user or of a linked id says something else.
    pub unclear: i64,
    /// The user was erased: nothing is stored.
    pub erased: i64,
}

impl Found {
    /// All together.
    #[must_use]
    pub fn all(&self) -> i64 {
        self.ours + self.unadopted() + self.unclear + self.erased
    }

    /// Holders whose role rolekeeper may not revoke.
    #[must_use]
    pub fn unadopted(&self) -> i64 {
        self.earned + self.unearned
    }
}

impl Position {
    /// Number of the page in the query of this position, with this number of users in a page.
    #[must_use]
    pub fn page(&self, per_page: u32) -> u32 {
        match self {
            Self::At { seen, .. } => seen / per_page.max(1),
            _ => 0,
        }
    }

    /// Moves past a page: the creation times in its order, `None` for a user without a readable one. `total`: number of users that
    /// the query of this position finds, if Auth0 says it.
    #[must_use]
    pub fn step(&self, page: &[Option<OffsetDateTime>], per_page: u32, total: Option<u64>) -> Step {
        let len = u32::try_from(page.len()).unwrap_or(u32::MAX);
        let skipped = match self {
            Self::At { seen, .. } => u64::from(*seen),
            _ => 0,
        };
        let left = total.map(|total| total.saturating_sub(skipped));
        let last = left.map_or(len == 0, |left| len < per_page && u64::from(len) >= left);
        if len == 0 && !last {
            return Step::Empty;
        }
        if let Self::At { at, seen } = *self {
            let others = page.iter().flatten().any(|created| *created != at);
            return match (others, last, seen.saturating_add(len)) {
                (true, _, _) => Step::Unordered,
                (false, true, _) => Step::Counted(0..page.len(), Some(Self::After(at))),
                (false, false, seen) if seen >= REACHED => Step::Cut,
                (false, false, seen) => Step::Counted(0..page.len(), Some(Self::At { at, seen })),
            };
        }
        if !page.iter().flatten().is_sorted() || page.iter().flatten().any(|created| self.is_before(*created))
        {
            return Step::Unordered;
        }
        if last {
            return Step::Counted(0..page.len(), None);
        }
        let Some(end) = page.iter().flatten().next_back() else {
            return Step::Unordered;
        };
        // Users of the last time may follow on the next page: none of them counts yet.
        let counted = page
            .iter()
            .position(|created| created.as_ref() == Some(end))
            .unwrap_or_default();
        let next = if counted == 0 {
            Self::At { at: *end, seen: 0 }
        } else {
            Self::From(*end)
        };
        Step::Counted(0..counted, Some(next))
    }

    /// Whether a user of this creation time is read already.
    fn is_before(&self, created: OffsetDateTime) -> bool {
        match self {
            Self::Begin => false,
            Self::From(from) | Self::At { at: from, .. } => created < *from,
            Self::After(after) => created <= *after,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: u16) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(i64::from(second))
    }

    fn page(seconds: &[u16]) -> Vec<Option<OffsetDateTime>> {
        seconds.iter().map(|second| Some(at(*second))).collect()
    }

    #[test]
    fn a_page_counts_up_to_the_time_at_which_the_next_one_begins() {
        let from = |second| Position::From(at(second));
        let same = |seen| Position::At { at: at(5), seen };
        for (position, seconds, total, step) in [
            (Position::Begin, &[1, 2][..], 2, Step::Counted(0..2, None)),
            (Position::Begin, &[], 0, Step::Counted(0..0, None)),
            (Position::Begin, &[1, 2, 3], 9, Step::Counted(0..2, Some(from(3)))),
            (from(3), &[3, 5, 5], 3, Step::Counted(0..1, Some(from(5)))),
            (from(5), &[5, 5, 5], 9, Step::Counted(0..0, Some(same(0)))),
            (same(3), &[5, 5, 5], 7, Step::Counted(0..3, Some(same(6)))),
            (
                same(6),
                &[5],
                7,
                Step::Counted(0..1, Some(Position::After(at(5)))),
            ),
            (Position::After(at(5)), &[6], 1, Step::Counted(0..1, None)),
            (same(998), &[5, 5, 5], 1_001, Step::Cut),
            (Position::After(at(5)), &[5], 1, Step::Unordered),
            (from(5), &[4], 1, Step::Unordered),
            (Position::Begin, &[2, 1], 2, Step::Unordered),
            (same(0), &[6], 1, Step::Unordered),
            // Shorter than asked for, and not the last one.
            (Position::Begin, &[1, 2], 9, Step::Counted(0..1, Some(from(2)))),
            (
                from(2),
                &[2],
                8,
                Step::Counted(0..0, Some(Position::At { at: at(2), seen: 0 })),
            ),
            (same(3), &[5], 7, Step::Counted(0..1, Some(same(4)))),
            (same(3), &[], 7, Step::Empty),
            (Position::Begin, &[], 9, Step::Empty),
        ] {
            let stepped = position.step(&page(seconds), 3, Some(total));
            assert_eq!(stepped, step, "{position:?} {seconds:?} of {total}");
        }
    }

    #[test]
    fn without_a_total_only_an_empty_page_is_the_last_one() {
        let short = Position::Begin.step(&page(&[1, 2]), 3, None);
        assert_eq!(short, Step::Counted(0..1, Some(Position::From(at(2)))));
        let empty = Position::After(at(2)).step(&[], 3, None);
        assert_eq!(empty, Step::Counted(0..0, None));
    }

    #[test]
    fn a_user_without_a_date_counts_where_it_stands() {
        let with = [Some(at(1)), None, Some(at(2))];
        let step = Position::Begin.step(&with, 3, Some(9));
        assert_eq!(step, Step::Counted(0..2, Some(Position::From(at(2)))));
        assert_eq!(
            Position::Begin.step(&[None, None, None], 3, Some(9)),
            Step::Unordered
        );
    }

    /// Reads all users, page by page, as a search shows them whose pages have at most `cap` users.
    fn read(mut times: Vec<u16>, per_page: u32, (cap, says_total): (usize, bool)) -> Option<Vec<u16>> {
        times.sort_unstable();
        let (mut position, mut read) = (Position::Begin, vec![]);
        loop {
            let asked = |second: &&u16| match position {
                Position::At { at: from, .. } => at(**second) == from,
                _ => !position.is_before(at(**second)),
            };
            // The first size with which the position is the begin of a page.
            let per_page = match position {
                Position::At { seen, .. } if !seen.is_multiple_of(per_page) => 1,
                _ => per_page,
            };
            let skip = (position.page(per_page) * per_page) as usize;
            let found = times.iter().filter(asked).count() as u64;
            let shown = times
                .iter()
                .filter(asked)
                .skip(skip)
                .take(cap.min(per_page as usize));
            let shown: Vec<u16> = shown.copied().collect();
            match position.step(&page(&shown), per_page, says_total.then_some(found)) {
                Step::Counted(counted, next) => {
                    read.extend(&shown[counted]);
                    match next {
                        Some(next) => position = next,
                        None => return Some(read),
                    }
                }
                Step::Cut | Step::Unordered | Step::Empty => return None,
            }
        }
    }

    proptest! {
        #[test]
        fn every_user_counts_once(
            mut times in proptest::collection::vec(0_u16..40, 0..300), per_page in 1_u32..20, cap in 1_usize..30, says_total: bool,
        ) {
            let read = read(times.clone(), per_page, (cap, says_total));
            times.sort_unstable();
            prop_assert_eq!(read, Some(times));
        }
    }
}
