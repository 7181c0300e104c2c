//! The state that operators read: `--json` of a command and the page of the console render the same value.
//!
//! Owns the values and their names in JSON. Must never hold a number that was counted to a bound without saying so.

pub mod brakes;
pub mod changes;
pub mod count_history;
pub mod figures;
pub mod letters;
pub mod parked;
pub mod pipe;
mod pipe_words;
pub mod queue;
pub mod rules;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use self::figures::grouped;
use crate::explanation::moment;

/// A number that is counted up to a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Capped {
    /// The number, or the bound.
    pub number: i64,
    /// There are more than the bound.
    pub capped: bool,
}

impl Capped {
    /// The number with its digits in groups, for a text.
    #[must_use]
    pub fn grouped(&self) -> String {
        let more = if self.capped { "+" } else { "" };
        format!("{}{more}", grouped(self.number))
    }

    /// A count of at most `most` and one rows.
    #[must_use]
    pub fn of(counted: i64, most: i64) -> Self {
        Self {
            number: counted.min(most),
            capped: counted > most,
        }
    }
}

impl std::fmt::Display for Capped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more = if self.capped { "+" } else { "" };
        write!(f, "{}{more}", self.number)
    }
}

/// Cuts rows, of which one more than `most` was read, to `most`; returns whether there was one more.
#[must_use]
pub fn cut<T>(rows: &mut Vec<T>, most: i64) -> bool {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    more
}

/// A time in UTC and whole seconds.
pub(crate) fn seconds<S: Serializer>(at: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&moment(*at))
}

/// The same, or null.
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
pub(crate) fn seconds_if_any<S: Serializer>(at: &Option<OffsetDateTime>, to: S) -> Result<S::Ok, S::Error> {
    at.map(moment).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::Capped;

    #[test]
    fn a_capped_number_says_so() {
        for (counted, text) in [(0, "0"), (10, "10"), (11, "10+")] {
            assert_eq!(Capped::of(counted, 10).to_string(), text);
        }
    }
}
