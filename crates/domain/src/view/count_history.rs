//! The count of one playlist over time, from the messages of its stream.
//!
//! Owns the counting for a plot, and where its data begins and ends. Must never decide: the count in Postgres does.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Serialize;
use time::OffsetDateTime;

use super::seconds;
use crate::event::{Event, EventKind};

/// Most points; more are thinned out.
const POINTS: usize = 1_000;

/// Why the reading of the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The newest message was read.
    Newest,
    /// The time was over.
    Time,
    /// NATS did not go on.
    Broken,
}

/// The count of a playlist over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountHistory {
    /// The app's id of the playlist.
    pub playlist_id: String,
    /// The counts; each holds until the next one.
    pub points: Vec<Point>,
    /// Messages read of the partition of the playlist.
    pub messages: u64,
    /// The first and the last of them; null if none was read.
    pub window: Option<(Edge, Edge)>,
    /// The counts are those of the playlist; otherwise they are counted from 0 at the first message that was read.
    pub absolute: bool,
    /// Earlier messages of the partition are in the stream and were not read.
    pub begins_late: bool,
    /// Why the reading ended.
    pub end: End,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Its sequence in the stream.
    pub seq: u64,
    /// Time at which the stream stored it.
    #[serde(serialize_with = "seconds")]
    pub at: OffsetDateTime,
}

/// The count from one time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// The time.
    #[serde(serialize_with = "seconds")]
    pub at: OffsetDateTime,
    /// Plays minus retractions.
    pub count: i64,
}

/// A count in progress.
#[derive(Debug)]
pub struct Counting {
    playlist: String,
    count: i64,
    points: Vec<Point>,
    /// Hashes of the ids of counted plays, and of retracted ones: each counts once.
    played: BTreeSet<u64>,
    retracted: BTreeSet<u64>,
    messages: u64,
    window: Option<(Edge, Edge)>,
}

impl Counting {
    /// Begins at 0.
    #[must_use]
    pub fn of(playlist: &str) -> Self {
        Self {
            playlist: playlist.to_owned(),
            count: 0,
            points: vec![],
            played: BTreeSet::new(),
            retracted: BTreeSet::new(),
            messages: 0,
            window: None,
        }
    }

    /// Takes the next message of the partition; `event` is none if it is no event.
    pub fn take(&mut self, edge: Edge, event: Option<&Event<'_>>) {
        self.messages += 1;
        let first = self.window.map_or(edge, |(first, _)| first);
        self.window = Some((first, edge));
        let Some(event) = event.filter(|event| event.playlist.as_str() == self.playlist) else {
            return;
        };
        let changed = match &event.kind {
            EventKind::Play => self.played.insert(hash(event.id.as_str())).then_some(1),
            EventKind::Retraction { of } => self.retracted.insert(hash(of.as_str())).then_some(-1),
            EventKind::Saved { .. } | EventKind::Deleted { .. } | EventKind::Duplicate => None,
        };
        if let Some(change) = changed {
            self.count += change;
            self.points.push(Point {
                at: edge.at,
                count: self.count,
            });
            if self.points.len() > 2 * POINTS {
                self.thin();
            }
        }
    }

    fn thin(&mut self) {
        let mut odd = false;
        self.points.retain(|_| {
            odd = !odd;
            odd
        });
    }

    /// Ends the count. `now` is the count in Postgres, which fixes all earlier ones if the newest message was read.
    #[must_use]
    pub fn end(mut self, end: End, begins_late: bool, now: i64) -> CountHistory {
        let last = self.points.last().copied();
        if self.points.len() > POINTS {
            self.thin();
            self.points
                .extend(last.filter(|last| self.points.last() != Some(last)));
        }
        let missing = if end == End::Newest { now - self.count } else { 0 };
        for point in &mut self.points {
            point.count = (point.count + missing).max(0);
        }
        CountHistory {
            playlist_id: self.playlist,
            points: self.points,
            messages: self.messages,
            window: self.window,
            absolute: end == End::Newest,
            begins_late,
            end,
        }
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::parse_unsent;

    fn edge(seq: u64) -> Edge {
        Edge {
            seq,
            at: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seq),
        }
    }

    fn counted(events: &[String]) -> Counting {
        let mut counting = Counting::of("pl_1");
        for (seq, text) in (1..).zip(events) {
            let event = parse_unsent(text.as_bytes()).ok().map(|unsent| unsent.event);
            counting.take(edge(seq), event.as_ref());
        }
        counting
    }

    fn play(id: &str, playlist: &str) -> String {
        format!(
            r#"{{"type":"play","event_id":"{id}","playlist_id":"{playlist}","listener_id":"auth0|a","song_id":"s","played_at":"2026-11-23T10:00:00Z"}}"#
        )
    }

    #[test]
    fn a_repeat_counts_once_and_other_playlists_not_at_all() {
        let counting = counted(&[
            play("a", "pl_1"),
            play("a", "pl_1"),
            play("b", "pl_2"),
            play("c", "pl_1"),
        ]);
        let history = counting.end(End::Newest, false, 2);
        let counts: Vec<i64> = history.points.iter().map(|point| point.count).collect();
        assert_eq!((counts, history.messages), (vec![1, 2], 4), "{history:?}");
        assert_eq!(history.window, Some((edge(1), edge(4))));
    }

    #[test]
    fn the_count_now_fixes_the_counts_before() {
        let history = counted(&[play("a", "pl_1")]).end(End::Newest, true, 100);
        assert_eq!((history.points[0].count, history.absolute), (100, true));
        let cut = counted(&[play("a", "pl_1")]).end(End::Time, true, 100);
        assert_eq!((cut.points[0].count, cut.absolute), (1, false));
    }

    #[test]
    fn many_points_are_thinned_out_and_the_last_one_stays() {
        let events: Vec<String> = (0..5_001).map(|n| play(&format!("p{n}"), "pl_1")).collect();
        let history = counted(&events).end(End::Newest, false, 5_001);
        assert!(history.points.len() <= POINTS + 1, "{}", history.points.len());
        assert_eq!(history.points.last().map(|point| point.count), Some(5_001));
    }
}
