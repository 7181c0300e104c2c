//! The starts against a fold from the beginning, and crossings against a plain count.

use std::collections::HashMap;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::date::of_unix_ns;
use crate::event::{Event, EventKind};
use crate::ids::{Token, UserId};
use crate::rule::{Measure, Rules, Versioned};
use crate::tally::{Playlist, Step};

fn event(number: usize, playlist: &str, kind: EventKind<'static>) -> Event<'static> {
    Event {
        id: Token::parse(format!("e{number}")).unwrap(),
        playlist: Token::parse(playlist.to_owned()).unwrap(),
        kind,
    }
}

fn owner(name: &str) -> UserId<'static> {
    UserId::parse(format!("auth0|{name}")).unwrap()
}

fn saved(name: &str) -> EventKind<'static> {
    EventKind::Saved {
        owner: owner(name),
        name: "n".into(),
    }
}

fn retraction() -> EventKind<'static> {
    EventKind::Retraction {
        of: Token::parse("of").unwrap(),
    }
}

fn rules(text: &str) -> Rules {
    Versioned::parse(text).unwrap().rules
}

/// Seconds between two events.
fn stored_ns(number: usize) -> i64 {
    i64::try_from(number + 1).unwrap() * 1_000_000_000
}

/// The state of each playlist after these events, with the time of the last saving after a deletion.
fn folded(events: &[Event<'static>]) -> HashMap<String, (Playlist, Option<i64>)> {
    let mut all: HashMap<String, (Playlist, Option<i64>)> = HashMap::new();
    for (number, event) in events.iter().enumerate() {
        let (playlist, again) = all.entry(event.playlist.as_str().to_owned()).or_default();
        if playlist.deleted && matches!(event.kind, EventKind::Saved { .. }) {
            *again = Some(stored_ns(number));
        }
        playlist.follow(&event.kind);
    }
    all
}

/// The playlists of the tests, numbered as [`number`] says.
const PLAYLISTS: [&str; 4] = ["pl", "a", "b", "c"];

fn number(playlist: &str) -> usize {
    PLAYLISTS.iter().position(|one| *one == playlist).unwrap()
}

/// A history of these playlists, of which only the folded ones have a state.
fn history(from_start: bool, folded: HashMap<String, (Playlist, Option<i64>)>) -> History {
    let mut history = History::new(from_start);
    let mut folded = folded;
    for id in PLAYLISTS {
        let (now, again) = folded.remove(id).unwrap_or_default();
        history.know(id.to_owned(), now, again);
    }
    history
}

/// Starts without anything counted.
fn nothing() -> Starts {
    history(true, HashMap::new()).into_starts()
}

/// Sums the event with this number in the stream.
fn sum(history: &mut History, at: usize, event: &Event<'_>) {
    let playlist = history.number(event.playlist.as_str());
    history.sum(playlist, &Step::of(&event.kind).unwrap(), stored_ns(at));
}

/// Replays the event with this number in the stream.
fn take(replay: &mut Replay<'_>, at: usize, event: &Event<'_>) {
    let place = Place {
        seq: at as u64 + 1,
        stored_ns: stored_ns(at),
    };
    if let Some(step) = Step::of(&event.kind) {
        replay.take(number(event.playlist.as_str()), &step, (event.id.as_str(), place));
    }
}

/// The replay of the events from number `from` on, of which those from `folded_to` on are not folded yet.
fn replayed<'r>(events: &[Event<'static>], from: usize, folded_to: usize, rules: &'r Rules) -> Report<'r> {
    let mut replay = Replay::new(
        rules,
        starts(events, from, folded_to),
        HashMap::new(),
        stored_ns(from) - 1,
    );
    for (number, event) in events.iter().enumerate().skip(from) {
        take(&mut replay, number, event);
    }
    replay.end(stored_ns(events.len()))
}

fn starts(events: &[Event<'static>], from: usize, folded_to: usize) -> Starts {
    let mut history = history(false, folded(&events[..folded_to]));
    for (number, event) in events[..folded_to].iter().enumerate().skip(from) {
        sum(&mut history, number, event);
    }
    history.into_starts()
}

/// A playlist of Ann with 98 plays; then three plays, two retractions and a play.
fn ups_and_downs() -> Vec<Event<'static>> {
    let mut kinds = vec![saved("ann")];
    kinds.extend(vec![EventKind::Play; 101]);
    kinds.extend([retraction(), retraction(), EventKind::Play]);
    let all = kinds.into_iter().enumerate();
    all.map(|(number, kind)| event(number, "pl", kind)).collect()
}

#[test]
fn crossings_have_their_event_and_time_wherever_history_begins() {
    let events = ups_and_downs();
    let rules = Rules::default();
    for (from, folded_to) in [
        (0, 105),
        (1, 105),
        (50, 105),
        (99, 105),
        (50, 60),
        (50, 103),
        (99, 99),
    ] {
        let report = replayed(&events, from, folded_to, &rules);
        let [user] = &report.users[..] else {
            panic!("{report:?}")
        };
        let crossings: Vec<_> = user
            .crossings
            .iter()
            .map(|one| (&*one.event_id, one.plays, one.up))
            .collect();
        // The fold counts 101 plays, then 100, 99 and 100.
        assert_eq!(
            crossings,
            [("e100", 100, true), ("e103", 99, false), ("e104", 100, true)],
            "{from}"
        );
        assert_eq!(user.crossings[0].at, of_unix_ns(stored_ns(100)));
        assert_eq!(
            (report.up, report.down, report.grants, report.revokes),
            (2, 1, 2, 1)
        );
        assert_eq!((user.flaps, user.uncertain), (2, false));
        assert_eq!(report.busiest.map(|busiest| busiest.changes), Some(3));
    }
}

#[test]
fn a_role_is_kept_for_the_grace_of_the_rule() {
    let mut events = ups_and_downs();
    events.pop();
    // The second retraction falls below; five seconds later the grace ends, after the last event.
    let grace = "[[rule]]\nrole = \"r\"\ngrant_at = 100\nrevoke_below = 100\ngrace = \"5s\"";
    events.extend((104..115).map(|number| event(number, "b", EventKind::Play)));
    let rules = rules(grace);
    let report = replayed(&events, 50, events.len(), &rules);
    let changes: Vec<_> = report.users[0]
        .changes
        .iter()
        .map(|one| (one.at, one.granted, one.event_id.is_some()))
        .collect();
    let at = |number| -> OffsetDateTime { of_unix_ns(stored_ns(number)) };
    assert_eq!(changes, [(at(100), true, true), (at(108), false, false)]);
}

#[test]
fn the_count_before_a_deletion_is_not_known() {
    let mut kinds = vec![saved("ann")];
    kinds.extend(vec![EventKind::Play; 150]);
    kinds.push(EventKind::Deleted { owner: None });
    kinds.push(saved("ann"));
    kinds.extend(vec![EventKind::Play; 100]);
    let events: Vec<_> = kinds
        .into_iter()
        .enumerate()
        .map(|(n, kind)| event(n, "pl", kind))
        .collect();
    let rules = Rules::default();
    let report = replayed(&events, 80, events.len(), &rules);
    assert_eq!(report.unknown.before_deletion, 1);
    let [user] = &report.users[..] else {
        panic!("{report:?}")
    };
    assert_eq!((user.crossed, &*user.crossings[0].event_id), (1, "e252"));
    assert!(user.uncertain);
    let mut whole = history(true, folded(&events));
    for (number, event) in events.iter().enumerate() {
        sum(&mut whole, number, event);
    }
    let starts = whole.into_starts();
    let kept = &starts.playlists[number("pl")];
    assert_eq!(
        (&kept.playlist, kept.known),
        (&Playlist::default(), history::Known::Yes)
    );
}

/// 97 plays, 100 retractions, the count set to 0, 99 plays: the true counts end at 99.
fn forgiven(rules: &Rules, from: usize) -> Report<'_> {
    let mut kinds = vec![saved("ann")];
    kinds.extend(vec![EventKind::Play; 97]);
    kinds.extend(vec![retraction(); 100]);
    kinds.extend(vec![EventKind::Play; 99]);
    let events: Vec<_> = kinds
        .into_iter()
        .enumerate()
        .map(|(n, kind)| event(n, "pl", kind))
        .collect();
    let now = Playlist {
        plays: 99,
        owner: Some(owner("ann")),
        ..Playlist::default()
    };
    let mut history = history(from == 0, HashMap::from([("pl".to_owned(), (now, None))]));
    let kept = || events.iter().enumerate().skip(from);
    kept().for_each(|(number, event)| sum(&mut history, number, event));
    let mut replay = Replay::new(rules, history.into_starts(), HashMap::new(), 0);
    replay.forgiven();
    for (number, event) in kept() {
        take(&mut replay, number, event);
    }
    replay.end(stored_ns(events.len()))
}

#[test]
fn a_count_that_was_set_to_0_makes_its_owner_uncertain() {
    let rules = Rules::default();
    for (from, shifted) in [(0, 1), (1, 0)] {
        let report = forgiven(&rules, from);
        let [user] = &report.users[..] else {
            panic!("{report:?}")
        };
        assert!(user.uncertain, "{report:?}");
        let unknown = report.unknown;
        assert_eq!((unknown.shifted, unknown.maybe_forgiven), (shifted, 1), "{from}");
    }
    let report = forgiven(&rules, 150);
    assert!(report.users.iter().all(|user| user.uncertain), "{report:?}");
}

#[test]
fn an_erased_user_is_in_no_sum() {
    let rules = Rules::default();
    let mut replay = Replay::new(&rules, nothing(), HashMap::new(), 0);
    replay.leave_out("auth0|ann");
    for (number, event) in ups_and_downs().iter().enumerate() {
        take(&mut replay, number, event);
    }
    assert_eq!(replay.end(stored_ns(200)), Report::default());
}

#[test]
fn all_playlists_of_linked_ids_count_together() {
    let total = "[[rule]]\nrole = \"r\"\nof = \"all_playlists\"\ngrant_at = 10\nrevoke_below = 10";
    let rules = rules(total);
    let links = HashMap::from([("auth0|bob".to_owned(), "auth0|ann".to_owned())]);
    let mut replay = Replay::new(&rules, nothing(), links, 0);
    let mut kinds = vec![("a", saved("ann")), ("b", saved("bob"))];
    kinds.extend(vec![("a", EventKind::Play); 6]);
    kinds.extend(vec![("b", EventKind::Play); 6]);
    kinds.push(("b", saved("cid")));
    for (number, (playlist, kind)) in kinds.into_iter().enumerate() {
        take(&mut replay, number, &event(number, playlist, kind));
    }
    let report = replay.end(stored_ns(20));
    let [ann] = &report.users[..] else {
        panic!("{report:?}")
    };
    let crossings: Vec<_> = ann
        .crossings
        .iter()
        .map(|one| (&*one.event_id, one.plays))
        .collect();
    assert_eq!(
        (ann.user_id.as_str(), crossings),
        ("auth0|ann", vec![("e11", 10), ("e14", 6)])
    );
}

const OWNERS: [&str; 2] = ["ann", "bob"];

/// Best and total of each owner, counted anew over all playlists.
fn counts(playlists: &HashMap<String, Playlist>) -> [[i64; 2]; 2] {
    OWNERS.map(|name| {
        let shares = playlists
            .values()
            .map(|playlist| playlist.share_of(owner(name).as_str()));
        let shares: Vec<i64> = shares.collect();
        [shares.iter().copied().max().unwrap_or(0), shares.iter().sum()]
    })
}

proptest! {
    /// Each event crosses as if all counts were made anew before and after it.
    #[test]
    fn crossings_are_those_of_counts_made_anew(
        kinds in prop::collection::vec((0..3_usize, 0..14_u8), 1..120),
    ) {
        let rules = rules(
            "[[rule]]\nrole = \"a\"\ngrant_at = 3\nrevoke_below = 2\n[[rule]]\nrole = \"b\"\nof = \"all_playlists\"\ngrant_at = 5\nrevoke_below = 4",
        );
        let mut replay = Replay::new(&rules, nothing(), HashMap::new(), 0);
        let (mut playlists, mut expected) = (HashMap::<String, Playlist>::new(), Vec::new());
        for (number, (playlist, of)) in kinds.iter().enumerate() {
            let kind = match of {
                0..=6 => EventKind::Play,
                7..=9 => retraction(),
                10 | 11 => saved(OWNERS[usize::from(*of) - 10]),
                12 => EventKind::Deleted { owner: None },
                _ => EventKind::Deleted { owner: Some(owner("ann")) },
            };
            let event = event(number, ["a", "b", "c"][*playlist], kind);
            let before = counts(&playlists);
            playlists.entry(event.playlist.as_str().to_owned()).or_default().follow(&event.kind);
            let after = counts(&playlists);
            for (at, name) in OWNERS.iter().enumerate() {
                for (which, of) in [Measure::BestPlaylist, Measure::AllPlaylists].into_iter().enumerate() {
                    let (before, after) = (before[at][which], after[at][which]);
                    if rules.thresholds_reached(of, before) != rules.thresholds_reached(of, after) {
                        expected.push((number as u64 + 1, format!("auth0|{name}"), of, after, after > before));
                    }
                }
            }
            take(&mut replay, number, &event);
        }
        let report = replay.end(stored_ns(kinds.len()));
        let mut found: Vec<_> = report.users.iter()
            .flat_map(|user| user.crossings.iter().map(|one| (one.stream_seq, user.user_id.clone(), one.of, one.plays, one.up)))
            .collect();
        // Users are in the order of their first crossing.
        found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        expected.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        prop_assert_eq!(found, expected);
    }

    /// The state before the kept events, where it is known, is the true one.
    #[test]
    fn a_known_start_is_the_true_one(
        kinds in prop::collection::vec((0..3_usize, 0..12_u8), 1..120),
        from: prop::sample::Index,
        folded_to: prop::sample::Index,
    ) {
        let kind = |of: u8| match of {
            0..=6 => EventKind::Play,
            7 | 8 => retraction(),
            9 => saved("ann"),
            10 => EventKind::Deleted { owner: None },
            _ => EventKind::Deleted { owner: Some(owner("ann")) },
        };
        let events: Vec<_> = kinds.iter().enumerate()
            .map(|(number, (playlist, of))| event(number, ["a", "b", "c"][*playlist], kind(*of)))
            .collect();
        let folded_to = folded_to.index(events.len() + 1);
        let from = from.index(folded_to + 1);
        let truth = folded(&events[..from]);
        let starts = starts(&events, from, folded_to);
        for (id, kept) in PLAYLISTS.iter().zip(&starts.playlists) {
            if kept.known == history::Known::Yes {
                let truth = truth.get(*id).map(|(playlist, _)| playlist.clone()).unwrap_or_default();
                prop_assert_eq!((kept.playlist.plays, kept.playlist.deleted), (truth.plays, truth.deleted), "{}", id);
            }
        }
    }
}
