//! The words for the stages of the pipe.
//!
//! Owns their names, the lines about each, and the flag of one that needs the operator. Must never say anything that the value does
//! not have.

use super::figures::{grouped, rate, span};
use super::pipe::{Pipe, Place, Stage};
use crate::plural::noun;

/// Age from which on a stage is late, in seconds.
const LATE_S: f64 = 60.0;
/// Share of a stream's size limit from which on it is full.
const FULL: f64 = 0.8;

impl Place {
    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AppEvents => "APP_EVENTS",
            Self::FoldAppEvents => "fold of APP_EVENTS",
            Self::Auth0Logs => "AUTH0_LOGS",
            Self::FoldAuth0Logs => "fold of AUTH0_LOGS",
            Self::WorkQueue => "work queue",
            Self::Reconcile => "reconcile",
            Self::Announce => "announce",
        }
    }

    /// The meaning of the age.
    #[must_use]
    pub fn about_age(self) -> &'static str {
        match self {
            Self::AppEvents | Self::Auth0Logs => "since the newest message",
            Self::FoldAppEvents | Self::FoldAuth0Logs => "of the last folded message while others wait",
            Self::WorkQueue => "since the longest-due user became due",
            Self::Reconcile => "",
            Self::Announce => "of the oldest change that is not announced",
        }
    }
}

impl Pipe {
    /// The time of the read, and the period of the rates, as a sentence.
    #[must_use]
    pub fn rates_words(&self) -> String {
        match self.rates_over_s {
            Some(over) => format!("rates over the last {over:.0} s"),
            None => "rates follow with the next reading".to_owned(),
        }
    }

    /// A word for a stage that needs the operator.
    #[must_use]
    pub fn flag(&self, stage: &Stage) -> Option<&'static str> {
        let is_late = stage.age_s.is_some_and(|age| age >= LATE_S);
        match stage.place {
            Place::AppEvents | Place::Auth0Logs => match (stage.age_s, stage.used, stage.per_s) {
                (_, Some(used), _) if used >= FULL => Some("nearly full"),
                (None, None, None) => Some("no data"),
                _ => None,
            },
            Place::Reconcile if self.held.is_some_and(|held| held > 0) => Some("held"),
            _ if is_late => Some("late"),
            Place::Reconcile => stage.per_s.is_none().then_some("no data"),
            _ => stage.lag.is_none().then_some("no data"),
        }
    }

    /// The lines about a stage.
    #[must_use]
    pub fn lines(&self, stage: &Stage) -> Vec<String> {
        let rate = rate(stage.per_s);
        let waiting = stage.lag.map_or(0, |lag| lag.number);
        let lag = stage.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string());
        let age = stage.age_s.map_or_else(|| "-".to_owned(), span);
        let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), grouped);
        match stage.place {
            Place::AppEvents | Place::Auth0Logs => vec![
                format!("{rate} stored"),
                format!("newest message {age} ago"),
                stage.used.map_or_else(String::new, |used| {
                    format!("{:.0} % of its limit used", used * 100.0)
                }),
            ],
            Place::FoldAppEvents | Place::FoldAuth0Logs => vec![
                format!("{rate} folded"),
                format!("{lag} {}", noun(waiting, "message waits", "messages wait")),
                format!("{age} behind"),
            ],
            Place::WorkQueue => vec![
                format!("{lag} {}", noun(waiting, "user waits", "users wait")),
                format!("longest due {age}"),
                format!("{} parked, {} held", number(self.parked), number(self.held)),
            ],
            Place::Reconcile => vec![
                format!("{rate} attempts end"),
                match self.drain.map(|drain| (drain.waiting, drain.remaining_s)) {
                    None => "-".to_owned(),
                    Some((0, _)) => "nothing waits".to_owned(),
                    Some((_, None)) => "no attempt ends".to_owned(),
                    Some((_, Some(remaining))) => format!("{} remain at this rate", span(remaining as f64)),
                },
            ],
            Place::Announce => vec![
                format!("{rate} announced"),
                format!("{lag} {}", noun(waiting, "change waits", "changes wait")),
                format!("oldest {age}"),
            ],
        }
    }
}
