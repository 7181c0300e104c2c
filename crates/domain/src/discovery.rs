//! The way of a search through all users who hold a role; one query shows at most 1,000 of them.
//!
//! Owns the position of the search, and which users of a page count. Users are read in the order of their creation, which never
//! changes: each page begins at the creation time at which the one before ended. So a user who loses or gets the role
//! meanwhile moves no other user, and no user counts twice. Must never trust an order that the page does not show.

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

    /// Moves past a page: the creation times in its order, `None` for a user without a readable one.
    #[must_use]
    pub fn step(&self, page: &[Option<OffsetDateTime>], per_page: u32) -> Step {
        let full = u32::try_from(page.len()).unwrap_or(u32::MAX) >= per_page;
        if let Self::At { at, seen } = *self {
            let others = page.iter().flatten().any(|created| *created != at);
            return match (others, full, seen.saturating_add(per_page)) {
                (true, _, _) => Step::Unordered,
                (false, false, _) => Step::Counted(0..page.len(), Some(Self::After(at))),
                (false, true, seen) if seen >= REACHED => Step::Cut,
                (false, true, seen) => Step::Counted(0..page.len(), Some(Self::At { at, seen })),
            };
        }
        if !page.iter().flatten().is_sorted() || page.iter().flatten().any(|created| self.is_before(*created))
        {
            return Step::Unordered;
        }
        if !full {
            return Step::Counted(0..page.len(), None);
        }
        let Some(last) = page.iter().flatten().next_back() else {
            return Step::Unordered;
        };
        // Users of the last time may follow on the next page: none of them counts yet.
        let counted = page
            .iter()
            .position(|created| created.as_ref() == Some(last))
            .unwrap_or_default();
        let next = if counted == 0 {
            Self::At { at: *last, seen: 0 }
        } else {
            Self::From(*last)
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
        for (position, seconds, step) in [
            (Position::Begin, &[1, 2][..], Step::Counted(0..2, None)),
            (Position::Begin, &[], Step::Counted(0..0, None)),
            (Position::Begin, &[1, 2, 3], Step::Counted(0..2, Some(from(3)))),
            (from(3), &[3, 5, 5], Step::Counted(0..1, Some(from(5)))),
            (
                from(5),
                &[5, 5, 5],
                Step::Counted(0..0, Some(Position::At { at: at(5), seen: 0 })),
            ),
            (
                Position::At { at: at(5), seen: 3 },
                &[5, 5, 5],
                Step::Counted(0..3, Some(Position::At { at: at(5), seen: 6 })),
            ),
            (
                Position::At { at: at(5), seen: 6 },
                &[5],
                Step::Counted(0..1, Some(Position::After(at(5)))),
            ),
            (Position::After(at(5)), &[6], Step::Counted(0..1, None)),
            (Position::At { at: at(5), seen: 998 }, &[5, 5, 5], Step::Cut),
            (Position::After(at(5)), &[5], Step::Unordered),
            (from(5), &[4], Step::Unordered),
            (Position::Begin, &[2, 1], Step::Unordered),
            (Position::At { at: at(5), seen: 0 }, &[6], Step::Unordered),
        ] {
            assert_eq!(position.step(&page(seconds), 3), step, "{position:?} {seconds:?}");
        }
    }

    #[test]
    fn a_user_without_a_date_counts_where_it_stands() {
        let with = [Some(at(1)), None, Some(at(2))];
        let step = Position::Begin.step(&with, 3);
        assert_eq!(step, Step::Counted(0..2, Some(Position::From(at(2)))));
        assert_eq!(Position::Begin.step(&[None, None, None], 3), Step::Unordered);
    }

    /// Reads all users, page by page, as a search would show them.
    fn read(mut times: Vec<u16>, per_page: u32) -> Option<Vec<u16>> {
        times.sort_unstable();
        let (mut position, mut read) = (Position::Begin, vec![]);
        loop {
            let asked = |second: &&u16| match position {
                Position::At { at: from, .. } => at(**second) == from,
                _ => !position.is_before(at(**second)),
            };
            let skip = (position.page(per_page) * per_page) as usize;
            let shown = times.iter().filter(asked).skip(skip).take(per_page as usize);
            let shown: Vec<u16> = shown.copied().collect();
            match position.step(&page(&shown), per_page) {
                Step::Counted(counted, next) => {
                    read.extend(&shown[counted]);
                    match next {
                        Some(next) => position = next,
                        None => return Some(read),
                    }
                }
                Step::Cut | Step::Unordered => return None,
            }
        }
    }

    proptest! {
        #[test]
        fn every_user_counts_once(mut times in proptest::collection::vec(0_u16..40, 0..300), per_page in 1_u32..20) {
            let read = read(times.clone(), per_page);
            times.sort_unstable();
            prop_assert_eq!(read, Some(times));
        }
    }
}
