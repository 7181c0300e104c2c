//! The pipe: rate, lag and age of each stage, and what stops it.
//!
//! Owns the arithmetic between two readings of counters that only grow. Must never report a rate from one reading.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use super::brakes::Drain;
use super::{Capped, seconds};
use crate::date::of_unix_ns;
use crate::explanation::{System, obstacles};

/// A stage, or a stream before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The stream of app events.
    AppEvents,
    /// The fold of app events.
    FoldAppEvents,
    /// The stream of the tenant's log.
    Auth0Logs,
    /// The fold of the tenant's log.
    FoldAuth0Logs,
    /// The work queue.
    WorkQueue,
    /// The attempts at Auth0.
    Reconcile,
    /// The announcement of role changes.
    Announce,
}

/// One stage at one moment. A value that is not known is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// The stage.
    pub place: Place,
    /// Messages, users or changes a second.
    pub per_s: Option<f64>,
    /// Number of those that wait before it.
    pub lag: Option<Capped>,
    /// Seconds for which the oldest of them waits; of a stream, since its newest message.
    pub age_s: Option<f64>,
    /// Used share of the stream's size limit.
    pub used: Option<f64>,
}

/// The pipe at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pipe {
    /// Time of the read, by this worker's clock.
    #[serde(serialize_with = "seconds")]
    pub at: OffsetDateTime,
    /// Time between the two readings of the rates, in seconds; null before the second.
    pub rates_over_s: Option<f64>,
    /// The stages.
    pub stages: Vec<Stage>,
    /// Users in the work queue who are parked.
    pub parked: Option<i64>,
    /// Users in the work queue with held changes.
    pub held: Option<i64>,
    /// Progress of the work queue.
    pub drain: Option<Drain>,
    /// The sentences about all that stops or holds changes.
    pub obstacles: Vec<String>,
}

/// One reading.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Time since the first reading.
    pub elapsed: Duration,
    /// The streams; none while NATS does not respond.
    pub streams: Streams,
    /// The tables; none while Postgres does not respond.
    pub tables: Option<Tables>,
}

/// The streams of a reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streams {
    /// `APP_EVENTS`.
    pub app_events: Option<StreamReading>,
    /// `AUTH0_LOGS`.
    pub auth0_logs: Option<StreamReading>,
    /// `ROLE_CHANGES`.
    pub role_changes: Option<StreamReading>,
}

/// One stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamReading {
    /// Sequence of its newest message.
    pub last_seq: u64,
    /// Store time of that message, Unix nanoseconds.
    pub last_stored_ns: i64,
    /// Used share of its size limit; none without a limit.
    pub used: Option<f64>,
}

/// The position of a fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CursorReading {
    /// Sequence of the last folded message.
    pub last_seq: i64,
    /// Store time of that message, Unix nanoseconds.
    pub last_stored_ns: i64,
}

/// The tables of a reading.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Fold of `APP_EVENTS`.
    pub app_events: Option<CursorReading>,
    /// Fold of `AUTH0_LOGS`.
    pub auth0_logs: Option<CursorReading>,
    /// Parked users.
    pub parked: i64,
    /// Held users.
    pub held: i64,
    /// Progress of the work queue.
    pub drain: Drain,
    /// Seconds since the longest-due user became due.
    pub oldest_due_s: f64,
    /// Completed changes that are not announced.
    pub unannounced: Capped,
    /// Seconds since the oldest of them was completed.
    pub oldest_unannounced_s: f64,
    /// The state of the deployment.
    pub system: System,
}

impl Pipe {
    /// The pipe of the newest reading; rates are the difference from an earlier one.
    #[must_use]
    pub fn of(at: OffsetDateTime, newest: &Reading, before: Option<&Reading>) -> Self {
        let since = before.map(|before| newest.elapsed.saturating_sub(before.elapsed));
        let since = since.filter(|since| !since.is_zero());
        let rates = Rates {
            at,
            newest,
            before: before.filter(|_| since.is_some()),
            over_s: since.unwrap_or_default().as_secs_f64(),
        };
        let tables = newest.tables.as_ref();
        Self {
            at,
            rates_over_s: since.map(|since| since.as_secs_f64()),
            stages: rates.stages(),
            parked: tables.map(|tables| tables.parked),
            held: tables.map(|tables| tables.held),
            drain: tables.map(|tables| tables.drain),
            obstacles: rates.obstacles(),
        }
    }

    /// The stage at a place.
    #[must_use]
    pub fn stage(&self, place: Place) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.place == place)
    }
}

/// Two readings.
struct Rates<'a> {
    at: OffsetDateTime,
    newest: &'a Reading,
    before: Option<&'a Reading>,
    over_s: f64,
}

impl Rates<'_> {
    fn stages(&self) -> Vec<Stage> {
        let tables = self.newest.tables.as_ref();
        let drain = tables.map(|tables| tables.drain);
        vec![
            self.stream(Place::AppEvents, |streams| streams.app_events),
            self.fold(
                Place::FoldAppEvents,
                |streams| streams.app_events,
                |tables| tables.app_events,
            ),
            self.stream(Place::Auth0Logs, |streams| streams.auth0_logs),
            self.fold(
                Place::FoldAuth0Logs,
                |streams| streams.auth0_logs,
                |tables| tables.auth0_logs,
            ),
            Stage {
                place: Place::WorkQueue,
                per_s: None,
                lag: drain.map(|drain| exactly(drain.waiting)),
                age_s: tables.map(|tables| tables.oldest_due_s),
                used: None,
            },
            Stage {
                place: Place::Reconcile,
                per_s: drain.map(|drain| drain.ended_per_min / 60.0),
                lag: None,
                age_s: None,
                used: None,
            },
            Stage {
                place: Place::Announce,
                per_s: self.rate(|reading| Some(reading.streams.role_changes?.last_seq)),
                lag: tables.map(|tables| tables.unannounced),
                age_s: tables.map(|tables| tables.oldest_unannounced_s),
                used: None,
            },
        ]
    }

    fn stream(&self, place: Place, of: fn(&Streams) -> Option<StreamReading>) -> Stage {
        let now = of(&self.newest.streams);
        Stage {
            place,
            per_s: self.rate(|reading| Some(of(&reading.streams)?.last_seq)),
            lag: None,
            age_s: now
                .filter(|now| now.last_seq > 0)
                .map(|now| self.age(now.last_stored_ns)),
            used: now.and_then(|now| now.used),
        }
    }

    fn fold(
        &self,
        place: Place,
        stream: fn(&Streams) -> Option<StreamReading>,
        cursor: fn(&Tables) -> Option<CursorReading>,
    ) -> Stage {
        let of = |reading: &Reading| {
            let cursor = cursor(reading.tables.as_ref()?).unwrap_or_default();
            u64::try_from(cursor.last_seq).ok()
        };
        let lag = stream(&self.newest.streams)
            .zip(of(self.newest))
            .map(|(stream, folded)| stream.last_seq.saturating_sub(folded));
        let at = self.newest.tables.as_ref().and_then(cursor);
        Stage {
            place,
            per_s: self.rate(of),
            lag: lag.map(|lag| exactly(i64::try_from(lag).unwrap_or(i64::MAX))),
            age_s: match (lag, at) {
                (Some(0), _) => Some(0.0),
                (Some(_), Some(at)) if at.last_seq > 0 => Some(self.age(at.last_stored_ns)),
                _ => None,
            },
            used: None,
        }
    }

    /// The growth of a counter; none if it is not known, or began again.
    fn rate(&self, counter: impl Fn(&Reading) -> Option<u64>) -> Option<f64> {
        let (now, before) = (counter(self.newest)?, counter(self.before?)?);
        Some(now.checked_sub(before)? as f64 / self.over_s)
    }

    fn age(&self, stored_ns: i64) -> f64 {
        (self.at - of_unix_ns(stored_ns)).as_seconds_f64().max(0.0)
    }

    fn obstacles(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.newest.streams.app_events.is_none() {
            said.push("NATS does not respond: no message is stored or folded.".to_owned());
        }
        match &self.newest.tables {
            Some(tables) => said.extend(obstacles(&tables.system)),
            None => {
                said.push("Postgres does not respond: nothing is counted, decided or written.".to_owned());
            }
        }
        said
    }
}

fn exactly(number: i64) -> Capped {
    Capped {
        number,
        capped: false,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn reading(elapsed_s: u64, stored: u64, folded: i64) -> Reading {
        let stream = StreamReading {
            last_seq: stored,
            last_stored_ns: 0,
            used: None,
        };
        let app_events = Some(CursorReading {
            last_seq: folded,
            last_stored_ns: 1_000_000_000,
        });
        Reading {
            elapsed: Duration::from_secs(elapsed_s),
            streams: Streams {
                app_events: Some(stream),
                ..Streams::default()
            },
            tables: Some(Tables {
                app_events,
                ..Tables::default()
            }),
        }
    }

    const AT: OffsetDateTime = datetime!(1970-01-01 0:01 UTC);

    #[test]
    fn rates_are_differences_of_two_readings() {
        let (first, second) = (reading(0, 100, 40), reading(10, 300, 140));
        let pipe = Pipe::of(AT, &second, Some(&first));
        let stored = pipe.stage(Place::AppEvents).expect("it is there");
        let folded = pipe.stage(Place::FoldAppEvents).expect("it is there");
        assert_eq!((stored.per_s, folded.per_s), (Some(20.0), Some(10.0)));
        assert_eq!(folded.lag, Some(exactly(160)));
        assert_eq!((stored.age_s, folded.age_s), (Some(60.0), Some(59.0)));
        let logs = pipe.stage(Place::FoldAuth0Logs).expect("it is there");
        assert_eq!((logs.per_s, logs.lag), (Some(0.0), None));
    }

    #[test]
    fn one_reading_or_a_new_stream_has_no_rate() {
        let (first, second) = (reading(0, 100, 40), reading(10, 20, 20));
        for (newest, before) in [(&first, None), (&first, Some(&first)), (&second, Some(&first))] {
            let pipe = Pipe::of(AT, newest, before);
            assert_eq!(pipe.stage(Place::AppEvents).expect("it is there").per_s, None);
        }
    }

    #[test]
    fn an_outage_is_an_obstacle() {
        let pipe = Pipe::of(AT, &Reading::default(), None);
        assert_eq!(pipe.obstacles.len(), 2, "{:?}", pipe.obstacles);
        assert!(pipe.stages.iter().all(|stage| stage.lag.is_none()));
    }
}
