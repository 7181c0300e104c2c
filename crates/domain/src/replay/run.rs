//! The replay: events in order, from the playlists before the first of them.
//!
//! Owns the counts of each person. Must never change a playlist in another way than the fold does:
//! [`Playlist::take`](crate::tally::Playlist::take) is its code.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use time::OffsetDateTime;

use super::history::{Kept, Known, Starts};
use super::person::{Crossed, Person};
use super::report::{Busiest, Crossing, Report, Unknown, User};
use crate::date::of_unix_ns;
use crate::ids::UserId;
use crate::plan::RoleChange;
use crate::rule::{Measure, Rules};
use crate::snapshot::Facts;
use crate::tally::Step;

/// Seconds of an hour.
const HOUR_S: i64 = 3_600;

/// The place of an event in the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its sequence.
    pub seq: u64,
    /// When the stream stored it, Unix nanoseconds.
    pub stored_ns: i64,
}

/// A replay under proposed rules.
#[derive(Debug)]
pub struct Replay<'r> {
    rules: &'r Rules,
    start: OffsetDateTime,
    /// Primaries of linked ids, as they are now.
    links: HashMap<String, String>,
    playlists: Vec<Kept>,
    by_id: HashMap<Box<str>, usize>,
    persons: Vec<Person<'r>>,
    report: Report<'r>,
    /// Changes in each hour.
    hours: BTreeMap<i64, u64>,
    /// Counts below 0 were set to 0 since the first event.
    forgiven: bool,
    /// Playlists that this may concern.
    maybe_forgiven: HashSet<usize>,
    /// Playlists whose count is not known from the start on.
    doubtful: HashSet<usize>,
}

impl<'r> Replay<'r> {
    /// Begins at `start_ns`, Unix nanoseconds. `links`: the primary of each linked id.
    #[must_use]
    pub fn new(rules: &'r Rules, starts: Starts, links: HashMap<String, String>, start_ns: i64) -> Self {
        let Starts {
            playlists,
            owner_assumed,
        } = starts;
        let count = |which| playlists.iter().filter(|kept| kept.known == which).count() as u64;
        let unknown = Unknown {
            before_deletion: count(Known::AfterDeletion),
            unclear: count(Known::No),
            shifted: count(Known::Shifted),
            maybe_forgiven: 0,
            maybe_repeated: 0,
            owner_assumed,
            began_between: 0,
        };
        let mut replay = Self {
            rules,
            start: of_unix_ns(start_ns),
            links,
            playlists,
            by_id: HashMap::new(),
            persons: Vec::new(),
            report: Report {
                unknown,
                ..Report::default()
            },
            hours: BTreeMap::new(),
            forgiven: false,
            maybe_forgiven: HashSet::new(),
            doubtful: HashSet::new(),
        };
        for at in 0..replay.playlists.len() {
            replay.begin(at);
        }
        replay
    }

    /// Leaves the crossings of this user out of the report and its sums.
    pub fn leave_out(&mut self, user: &str) {
        let at = self.person_with(user);
        self.persons[at].is_erased = true;
    }

    /// Counts below 0 were set to 0 since the first event. At that time such a playlist has 0 plays here, since its count at the
    /// start follows from a later one: the owner of each playlist that an event brings to 0 or below is uncertain.
    pub fn forgiven(&mut self) {
        self.forgiven = true;
    }

    /// Marks the owners of the playlist with this number as uncertain: one of its retractions may repeat one from before the first
    /// event.
    pub fn doubt(&mut self, at: usize) {
        if self.doubtful.insert(at) {
            self.report.unknown.maybe_repeated += 1;
        }
        if let Some(person) = self.playlists[at].person {
            self.persons[person].uncertain = true;
        }
    }

    /// Counts a playlist before the first event for its owner.
    fn begin(&mut self, at: usize) {
        let Some(owner) = self.playlists[at].playlist.owner.clone() else {
            return;
        };
        let person = self.person(&owner);
        let kept = &mut self.playlists[at];
        kept.person = Some(person);
        let (plays, known) = (kept.counted(), kept.known);
        let person = &mut self.persons[person];
        person.playlists.push(at);
        person.best = person.best.max(plays);
        person.total += plays;
        person.uncertain |= known != Known::Yes;
    }

    /// Takes the next event, a change of the playlist with this number. A retraction that repeats another one must be left out.
    pub fn take(&mut self, at: usize, step: &Step<'_>, (event_id, place): (&str, Place)) {
        let kept = &mut self.playlists[at];
        let (before, owner_before) = (kept.counted(), kept.person);
        kept.playlist.take(step);
        kept.playlist.name = None;
        let is_count = matches!(step, Step::Add(_));
        if self.forgiven && is_count && !kept.playlist.deleted && kept.playlist.plays <= 0 {
            self.maybe_forgiven.insert(at);
            if let Some(person) = kept.person {
                self.persons[person].uncertain = true;
            }
        }
        if kept.playlist.deleted && kept.known == Known::AfterDeletion {
            kept.known = Known::Yes;
        }
        let event_and_place = (event_id, place);
        let Step::Save { owner, .. } = *step else {
            let after = kept.counted();
            if let Some(person) = owner_before.filter(|_| before != after) {
                self.counted(person, before, after, event_and_place);
            }
            return;
        };
        let person = self.person(owner);
        if owner_before == Some(person) {
            return;
        }
        let kept = &mut self.playlists[at];
        kept.person = Some(person);
        let (after, known) = (kept.counted(), kept.known);
        if let Some(left) = owner_before {
            self.persons[left].playlists.retain(|one| *one != at);
            self.counted(left, before, 0, event_and_place);
        }
        self.persons[person].playlists.push(at);
        self.persons[person].uncertain |=
            known != Known::Yes || self.maybe_forgiven.contains(&at) || self.doubtful.contains(&at);
        self.counted(person, 0, after, event_and_place);
    }

    /// Ends the replay at `end_ns`, Unix nanoseconds.
    #[must_use]
    pub fn end(mut self, end_ns: i64) -> Report<'r> {
        let now = of_unix_ns(end_ns);
        let mut crossed = 0;
        for person in 0..self.persons.len() {
            if self.persons[person].crossed.is_none() {
                continue;
            }
            crossed += 1;
            let facts = self.persons[person].facts(now);
            self.with_crossed(person, facts, |one, rules, changed| {
                one.settle(facts, rules, changed);
            });
        }
        let mut report = self.report;
        report.unknown.maybe_forgiven = self.maybe_forgiven.len() as u64;
        report.users.reserve_exact(crossed);
        for (id, person) in self.by_id {
            if let Some(crossed) = self.persons[person].crossed.take() {
                let Crossed {
                    user, began_between, ..
                } = *crossed;
                report.unknown.began_between += began_between;
                report.flaps += user.flaps;
                report.users.push(User {
                    user_id: id.into(),
                    uncertain: self.persons[person].uncertain,
                    ..user
                });
            }
        }
        let first = |user: &User<'_>| user.crossings.first().map(|crossing| crossing.stream_seq);
        report
            .users
            .sort_by(|a, b| first(a).cmp(&first(b)).then_with(|| a.user_id.cmp(&b.user_id)));
        let busiest = self
            .hours
            .iter()
            .max_by_key(|(hour, changes)| (**changes, -**hour));
        report.busiest = busiest.map(|(hour, changes)| Busiest {
            from: of_unix_ns(hour * HOUR_S * 1_000_000_000),
            changes: *changes,
        });
        report
    }

    /// The person that the user id belongs to.
    fn person(&mut self, owner: &UserId<'_>) -> usize {
        let id = self
            .links
            .get(owner.as_str())
            .map_or(owner.as_str(), String::as_str);
        let id = id.to_owned();
        self.person_with(&id)
    }

    fn person_with(&mut self, id: &str) -> usize {
        if let Some(known) = self.by_id.get(id) {
            return *known;
        }
        self.by_id.insert(id.into(), self.persons.len());
        self.persons.push(Person::default());
        self.persons.len() - 1
    }

    /// One playlist of the person had `before` plays and has `after`.
    fn counted(&mut self, at: usize, before: i64, after: i64, (event_id, place): (&str, Place)) {
        let person = &mut self.persons[at];
        let (best, total) = (person.best, person.total);
        person.total += after - before;
        if after >= person.best {
            person.best = after;
        } else if before == person.best {
            let plays = person.playlists.iter().map(|one| self.playlists[*one].counted());
            person.best = plays.max().unwrap_or(0);
        }
        let measured = [
            (Measure::BestPlaylist, best, person.best),
            (Measure::AllPlaylists, total, person.total),
        ];
        let band = |of, plays| self.rules.thresholds_reached(of, plays);
        let crosses = |(of, old, plays)| band(of, old) != band(of, plays);
        if person.is_erased || !measured.into_iter().any(crosses) {
            return;
        }
        let now = of_unix_ns(place.stored_ns);
        let (old, new) = (Facts { best, total, now }, person.facts(now));
        let event_id: Arc<str> = event_id.into();
        let crossings = measured.map(|(of, old, plays)| {
            crosses((of, old, plays)).then(|| Crossing {
                at: now,
                event_id: Arc::clone(&event_id),
                stream_seq: place.seq,
                of,
                plays,
                up: plays > old,
            })
        });
        for crossing in crossings.iter().flatten() {
            self.report.up += u64::from(crossing.up);
            self.report.down += u64::from(!crossing.up);
        }
        self.with_crossed(at, old, |one, rules, changed| {
            one.settle(old, rules, changed);
            crossings
                .into_iter()
                .flatten()
                .for_each(|crossing| one.crossed(crossing));
            one.decide(new, rules, Some(&event_id), changed);
        });
    }

    /// Runs `f` with the person, who had these counts so far, and counts the changes.
    fn with_crossed(
        &mut self,
        person: usize,
        before: Facts,
        f: impl FnOnce(&mut Crossed<'r>, &'r Rules, &mut dyn FnMut(OffsetDateTime, RoleChange)),
    ) {
        let (rules, start) = (self.rules, self.start);
        let one = self.persons[person]
            .crossed
            .get_or_insert_with(|| Box::new(Crossed::at_start(Facts { now: start, ..before }, rules)));
        let (report, hours) = (&mut self.report, &mut self.hours);
        f(one, rules, &mut |at, change| {
            match change {
                RoleChange::Granted => report.grants += 1,
                RoleChange::Revoked => report.revokes += 1,
            }
            *hours.entry(at.unix_timestamp().div_euclid(HOUR_S)).or_default() += 1;
        });
    }
}
