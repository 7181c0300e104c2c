//! The tenant's log and the undelivered records of its stream.
//!
//! Owns `log_id`s, the due time of a record, and its result. `log_stream` does the posting.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::time::Instant;

use super::options::LogStream;

/// One record that the tenant logged, delivered or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its id of 56 characters.
    pub log_id: String,
    /// `s`, `ss`, `sapi` …
    pub kind: String,
}

/// A batch that was given up after the last attempt, as in the stream's Health view.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamError {
    /// When it was given up.
    pub at: OffsetDateTime,
    /// Status of the last response, or `None` without one.
    pub status: Option<u16>,
    /// Error of the last attempt.
    pub message: String,
    /// The lost records.
    pub log_ids: Vec<String>,
}

/// Most records that the log keeps; the oldest are removed first. Auth0 keeps records for a number of days.
const RETAINED: usize = 50_000;

/// A record that the log still keeps.
#[derive(Clone, Debug)]
pub(super) struct RetainedRecord {
    pub log_id: String,
    /// Time from which Auth0 shows it: the time in its id.
    pub ingested: OffsetDateTime,
    /// The record, as in `data` of the stream.
    pub record: Value,
}

impl RetainedRecord {
    /// Returns the record's own date; dates of one format sort as text.
    pub(super) fn date(&self) -> String {
        self.record["date"].as_str().unwrap_or_default().to_owned()
    }
}

/// A record in flight.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub log_id: String,
    /// `{"log_id", "data"}` as JSON text.
    pub json: String,
    /// Whether it was already delivered once; it is then not duplicated again.
    repeated: bool,
}

/// The next act of the stream.
#[derive(Debug)]
pub(super) enum Next {
    Post(Vec<Pending>),
    WaitUntil(Instant),
    Idle,
}

#[derive(Debug)]
pub(super) struct Outbox {
    stream: Option<LogStream>,
    /// Number that grows with each stream, so that a replaced stream has no effect.
    generation: u64,
    silent: bool,
    rng: StdRng,
    count: u64,
    last_due: Instant,
    pending: BTreeMap<(Instant, u64), Pending>,
    in_flight: Vec<Pending>,
    kept: VecDeque<RetainedRecord>,
    /// Whether a position that the log does not hold returns an empty page and is not refused.
    expired_is_empty: bool,
    pub logged: Vec<Logged>,
    pub delivered: Vec<String>,
    pub silenced: Vec<String>,
    pub errors: Vec<StreamError>,
}

impl Outbox {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            stream: None,
            generation: 0,
            silent: false,
            rng: StdRng::seed_from_u64(seed),
            count: 0,
            last_due: Instant::now(),
            pending: BTreeMap::new(),
            in_flight: vec![],
            kept: VecDeque::new(),
            expired_is_empty: false,
            logged: vec![],
            delivered: vec![],
            silenced: vec![],
            errors: vec![],
        }
    }

    /// Sends records to this stream from now on, with the undelivered records of a previous one. Returns the stream's
    /// generation.
    pub(super) fn connect(&mut self, stream: LogStream) -> u64 {
        self.rng = StdRng::seed_from_u64(stream.seed);
        self.stream = Some(stream);
        for record in std::mem::take(&mut self.in_flight) {
            self.queue(record);
        }
        self.generation += 1;
        self.generation
    }

    pub(super) fn silence(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Assigns an id to a record and, if there is a stream, queues it.
    pub(super) fn log(&mut self, mut record: Value, now: OffsetDateTime) {
        self.count += 1;
        // Recorded: the time in the id is 0.01 to 5.4 s after the record's date, so ids are not in order.
        let ingested = now + Duration::from_millis(self.rng.random_range(10..5_400));
        let log_id = log_id(ingested, self.count);
        record["log_id"] = log_id.as_str().into();
        let kind = record["type"].as_str().unwrap_or_default().to_owned();
        self.logged.push(Logged {
            log_id: log_id.clone(),
            kind,
        });
        if self.kept.len() == RETAINED {
            self.kept.pop_front();
        }
        self.kept.push_back(RetainedRecord {
            log_id: log_id.clone(),
            ingested,
            record: record.clone(),
        });
        if self.silent {
            self.silenced.push(log_id);
        } else if self.stream.is_some() {
            let json = json!({"log_id": log_id, "data": record}).to_string();
            self.queue(Pending {
                log_id,
                json,
                repeated: false,
            });
        }
    }

    /// Returns the kept records, in the order in which they were logged.
    pub(super) fn kept(&self) -> impl Iterator<Item = &RetainedRecord> {
        self.kept.iter()
    }

    /// Returns whether a position that the log does not hold is refused.
    pub(super) fn expired_is_refused(&self) -> bool {
        !self.expired_is_empty
    }

    /// Removes all records that were logged so far.
    pub(super) fn expire(&mut self, refused: bool) {
        self.kept.clear();
        self.expired_is_empty = !refused;
    }

    fn queue(&mut self, record: Pending) {
        let Some(stream) = &self.stream else { return };
        let mut due = Instant::now() + self.rng.random_range(stream.delay.clone());
        if !stream.shuffle {
            due = due.max(self.last_due);
            self.last_due = due;
        }
        self.count += 1;
        self.pending.insert((due, self.count), record);
    }

    /// Returns due records, up to a batch; they count as undelivered until [`Self::settle`].
    pub(super) fn next(&mut self, generation: u64, now: Instant) -> Next {
        if generation != self.generation {
            return Next::Idle;
        }
        let Some(stream) = &self.stream else {
            return Next::Idle;
        };
        let (batch, shuffle) = (stream.batch.max(1), stream.shuffle);
        let mut due = vec![];
        while due.len() < batch
            && let Some(first) = self.pending.first_entry()
        {
            if first.key().0 > now {
                break;
            }
            due.push(first.remove());
        }
        if due.is_empty() {
            return self
                .pending
                .keys()
                .next()
                .map_or(Next::Idle, |(at, _)| Next::WaitUntil(*at));
        }
        if shuffle {
            due.shuffle(&mut self.rng);
        }
        self.in_flight.clone_from(&due);
        Next::Post(due)
    }

    /// Ends a batch of [`Self::next`]: delivered, or given up with an error.
    pub(super) fn settle(&mut self, generation: u64, error: Option<(OffsetDateTime, Option<u16>, String)>) {
        if generation != self.generation {
            return;
        }
        let batch = std::mem::take(&mut self.in_flight);
        let log_ids = batch.iter().map(|record| record.log_id.clone());
        if let Some((at, status, message)) = error {
            self.errors.push(StreamError {
                at,
                status,
                message,
                log_ids: log_ids.collect(),
            });
            return;
        }
        self.delivered.extend(log_ids);
        let twice = self
            .stream
            .as_ref()
            .map_or(0.0, |stream| stream.twice.clamp(0.0, 1.0));
        for record in batch {
            if !record.repeated && self.rng.random_bool(twice) {
                self.queue(Pending {
                    repeated: true,
                    ..record
                });
            }
        }
    }

    /// Returns the number of records, with duplicates, that are neither delivered nor given up.
    pub(super) fn undelivered(&self) -> usize {
        self.pending.len() + self.in_flight.len()
    }
}

/// Returns an id of 56 characters: `900`, the time of ingestion in milliseconds, and unique digits.
fn log_id(ingested: OffsetDateTime, count: u64) -> String {
    let format = format_description!("[year][month][day][hour][minute][second][subsecond digits:3]");
    let time = ingested
        .format(format)
        .expect("the format names only parts that every date has");
    format!(
        "900{time}000000000000001223{:018}",
        372_000_000_000_000_000 + count
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_ids_have_the_recorded_length() {
        let recorded = "90020230314134133705143000000000000001223372037861798014";
        let ours = log_id(OffsetDateTime::UNIX_EPOCH, 7);
        assert_eq!(ours.len(), recorded.len());
        assert!(ours.starts_with("90019700101000000000"), "{ours}");
        assert!(ours.bytes().all(|byte| byte.is_ascii_digit()));
    }

    #[test]
    fn every_record_is_delivered_unless_the_stream_is_silent() {
        let mut outbox = Outbox::new(1);
        outbox.log(json!({"type": "s"}), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(outbox.undelivered(), 0, "no stream yet");
        let stream = outbox.connect(LogStream {
            batch: 2,
            twice: 1.0,
            ..LogStream::to("http://unused", "")
        });
        for _ in 0..3 {
            outbox.log(json!({"type": "ss"}), OffsetDateTime::UNIX_EPOCH);
        }
        let mut sizes = vec![];
        while let Next::Post(batch) = outbox.next(stream, Instant::now() + Duration::from_mins(1)) {
            sizes.push(batch.len());
            outbox.settle(stream, None);
        }
        assert_eq!(sizes.iter().sum::<usize>(), 6);
        assert!(sizes.iter().all(|size| *size <= 2));
        for logged in &outbox.logged[1..] {
            assert_eq!(
                outbox.delivered.iter().filter(|id| **id == logged.log_id).count(),
                2
            );
        }
        outbox.silence(true);
        outbox.log(json!({"type": "s"}), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(
            (outbox.undelivered(), outbox.silenced.len(), outbox.logged.len()),
            (0, 1, 5)
        );
    }
}
