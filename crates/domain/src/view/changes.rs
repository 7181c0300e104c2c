//! Grants and revokes over time.
//!
//! Owns the periods that can be shown and the division into equal spans. Must never show a number that was counted to its bound
//! as exact.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use super::{Capped, seconds};
use crate::plural::noun;

/// Most decisions of one kind that are counted in one span.
pub const COUNTED_AT_MOST: i64 = 5_000;

/// A period that ends now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    /// The last hour, by minutes.
    Hour,
    /// The last day, by half hours.
    #[default]
    Day,
    /// The last week, by three hours.
    Week,
}

impl Period {
    /// All periods.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The word for it in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// The period with this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.word() == word)
    }

    /// The length of one span.
    #[must_use]
    pub fn span(self) -> Duration {
        match self {
            Self::Hour => Duration::from_mins(1),
            Self::Day => Duration::from_mins(30),
            Self::Week => Duration::from_hours(3),
        }
    }

    /// Number of spans.
    #[must_use]
    pub fn spans(self) -> i32 {
        match self {
            Self::Hour => 60,
            Self::Day => 48,
            Self::Week => 56,
        }
    }
}

/// Decided grants and revokes of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Length of a span in seconds.
    pub span_s: u64,
    /// The spans, oldest first.
    pub spans: Vec<Span>,
}

impl Changes {
    /// All decided grants, and all decided revokes.
    #[must_use]
    pub fn sums(&self) -> (Capped, Capped) {
        let sum = |of: fn(&Span) -> Capped| {
            let spans = self.spans.iter().map(of);
            Capped {
                capped: spans.clone().any(|one| one.capped),
                number: spans.map(|one| one.number).sum(),
            }
        };
        (sum(|span| span.granted), sum(|span| span.revoked))
    }

    /// Them, in words.
    #[must_use]
    pub fn title(&self, period: Period) -> String {
        let (granted, revoked) = self.sums();
        format!(
            "Last {}: {} {} and {} {} decided",
            period.word(),
            granted.grouped(),
            noun(granted.number, "grant", "grants"),
            revoked.grouped(),
            noun(revoked.number, "revoke", "revokes")
        )
    }
}

/// One span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Its start.
    #[serde(serialize_with = "seconds")]
    pub from: OffsetDateTime,
    /// Decided grants.
    pub granted: Capped,
    /// Decided revokes.
    pub revoked: Capped,
}
