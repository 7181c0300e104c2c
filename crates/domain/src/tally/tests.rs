//! Batches compared with a reference that handles one event at a time and shares no code with the tally.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn token(raw: impl Into<String>) -> Token<'static> {
    Token::parse(raw.into()).unwrap()
}

fn owner(raw: &str) -> UserId<'static> {
    UserId::parse(raw.to_owned()).unwrap()
}

fn event(playlist: &str, kind: Kind<'static>) -> Event<'static> {
    Event {
        id: token("e"),
        playlist: token(playlist),
        kind,
    }
}

fn play(playlist: &str) -> Event<'static> {
    event(playlist, Kind::Play)
}

fn retraction(playlist: &str, of: &str) -> Event<'static> {
    event(playlist, Kind::Retraction { of: token(of) })
}

fn saved(playlist: &str, by: &str) -> Event<'static> {
    event(
        playlist,
        Kind::Saved {
            owner: owner(by),
            name: format!("of {by}").into(),
        },
    )
}

fn deleted(playlist: &str) -> Event<'static> {
    event(playlist, Kind::Deleted { owner: None })
}

/// A deletion for any owner.
const DELETE: Step<'static> = Step::Delete { owner: None };

fn deleted_by(playlist: &str, by: &str) -> Event<'static> {
    event(
        playlist,
        Kind::Deleted {
            owner: Some(owner(by)),
        },
    )
}

fn ids(raw: &[&str]) -> HashSet<String> {
    raw.iter().map(|&id| id.to_owned()).collect()
}

#[test]
fn retracted_names_each_id_once() {
    let events = [
        retraction("a", "2"),
        play("a"),
        retraction("a", "1"),
        retraction("a", "2"),
        deleted("b"),
    ];
    assert_eq!(retracted(&events), [&token("2"), &token("1")]);
}

#[test]
fn only_the_first_retraction_of_a_fresh_id_stays() {
    let mut events = [
        retraction("a", "1"),
        retraction("a", "2"),
        play("a"),
        retraction("a", "1"),
    ];
    void_repeats(&mut events, &ids(&["1", "not in the batch"]));
    let repeat = event("a", Kind::Repeat);
    assert_eq!(events, [retraction("a", "1"), repeat.clone(), play("a"), repeat]);
}

#[test]
fn a_batch_is_summed_up_in_order_of_playlist() {
    let events = [
        play("z"),
        play("a"),
        play("m"),
        play("a"),
        retraction("a", "1"),
        retraction("neg", "2"),
        play("zero"),
        retraction("zero", "3"),
        event("idle", Kind::Repeat),
        saved("m", "u|1"),
        play("m"),
        retraction("m", "4"),
        play("m"),
        deleted("gone"),
    ];
    let by = owner("u|1");
    let m = vec![
        Step::Add(1),
        Step::Save {
            owner: &by,
            name: "of u|1",
        },
        Step::Add(1),
    ];
    assert_eq!(
        tally(&events),
        Tally {
            increments: vec![("a", 1), ("neg", -1), ("z", 1)],
            lifecycle_steps: vec![("gone", vec![DELETE]), ("m", m)]
        }
    );
    assert_eq!(tally(&[]), Tally::default());
}

#[test]
fn the_state_of_a_playlist_follows_the_rules() {
    let (one, two) = (owner("u|1"), owner("u|2"));
    let first = Step::Save {
        owner: &one,
        name: "x",
    };
    let second = Step::Save {
        owner: &two,
        name: "y",
    };
    let state = |plays, deleted, by: Option<(&UserId<'static>, &str)>| Playlist {
        plays,
        deleted,
        owner: by.map(|(owner, _)| owner.clone()),
        name: by.map(|(_, name)| name.to_owned()),
    };
    let (by_one, by_two) = (
        Step::Delete { owner: Some(&one) },
        Step::Delete { owner: Some(&two) },
    );
    let table: [(&[Step<'_>], Playlist); 12] = [
        (&[Step::Add(5), by_one], state(5, false, None)),
        (&[first, Step::Add(5), by_one], state(0, true, Some((&one, "x")))),
        (
            &[first, Step::Add(5), second, by_one, Step::Add(1)],
            state(6, false, Some((&two, "y"))),
        ),
        (
            &[first, Step::Add(5), second, by_two],
            state(0, true, Some((&two, "y"))),
        ),
        (&[], state(0, false, None)),
        (&[Step::Add(5)], state(5, false, None)),
        (&[Step::Add(-1)], state(-1, false, None)),
        (&[Step::Add(-1), Step::Add(1)], state(0, false, None)),
        (&[Step::Add(5), first, second], state(5, false, Some((&two, "y")))),
        (
            &[first, Step::Add(5), DELETE, Step::Add(7)],
            state(0, true, Some((&one, "x"))),
        ),
        (
            &[first, Step::Add(5), DELETE, Step::Add(-7), second],
            state(0, false, Some((&two, "y"))),
        ),
        (&[DELETE, DELETE], state(0, true, None)),
    ];
    for (steps, after) in table {
        assert_eq!(apply(Playlist::default(), steps), after, "{steps:?}");
    }
    assert_eq!(
        (state(-3, false, None).shown(), state(3, false, None).shown()),
        (0, 3)
    );
}

#[test]
fn the_crossing_is_the_last_change_of_zone() {
    let zone =
        |playlist: &Playlist| u8::from(playlist.shown() >= 100) + 2 * u8::from(playlist.owner.is_some());
    let at = |plays| Playlist {
        plays,
        ..Playlist::default()
    };
    let crossing = |events: &[Event<'_>], before| last_crossing(events, "a", &before, zone);
    let up = [play("b"), play("a"), play("a"), play("b")];
    assert_eq!(
        crossing(&up, at(98)),
        Some(Crossing {
            index: 2,
            plays: 100,
            times: 1
        })
    );
    assert_eq!(crossing(&up, at(97)), None);
    assert_eq!(crossing(&up, at(100)), None);
    let flap = [
        play("a"),
        retraction("a", "1"),
        play("a"),
        event("a", Kind::Repeat),
        play("a"),
    ];
    assert_eq!(
        crossing(&flap, at(99)),
        Some(Crossing {
            index: 2,
            plays: 100,
            times: 3
        })
    );
    assert_eq!(crossing(&flap[..2], at(99)), None);
    let below = [retraction("a", "1")];
    assert_eq!(
        crossing(&below, at(100)),
        Some(Crossing {
            index: 0,
            plays: 99,
            times: 1
        })
    );
    assert_eq!(
        crossing(&[deleted("a"), play("a")], at(100)),
        Some(Crossing {
            index: 0,
            plays: 0,
            times: 1
        })
    );
    assert_eq!(
        crossing(&[saved("a", "u|1")], at(-2)),
        Some(Crossing {
            index: 0,
            plays: 0,
            times: 1
        })
    );
}

/// The reference: the whole state, one event at a time.
#[derive(Clone, Debug, Default, PartialEq)]
struct World {
    playlists: BTreeMap<String, Playlist>,
    retracted: HashSet<String>,
}

impl World {
    fn see(&mut self, event: &Event<'_>) {
        let known = self.playlists.entry(event.playlist.to_string()).or_default();
        match &event.kind {
            Kind::Play => known.plays += i64::from(!known.deleted),
            Kind::Retraction { of } => {
                if self.retracted.insert(of.to_string()) && !known.deleted {
                    known.plays -= 1;
                }
            }
            Kind::Saved { owner, name } => {
                let plays = if known.deleted { 0 } else { known.plays };
                let (owner, name) = (Some(owner.clone().into_owned()), Some(name.to_string()));
                *known = Playlist {
                    plays,
                    deleted: false,
                    owner,
                    name,
                };
            }
            Kind::Deleted { owner } => {
                if owner.is_none()
                    || known.owner.as_ref().map(UserId::as_str) == owner.as_ref().map(UserId::as_str)
                {
                    (known.plays, known.deleted) = (0, true);
                }
            }
            Kind::Repeat => {}
        }
    }

    /// The same through the tally, as the store uses it.
    fn fold(&mut self, batch: &[Event<'static>]) {
        let mut events = batch.to_vec();
        let fresh: HashSet<String> = retracted(&events)
            .into_iter()
            .map(ToString::to_string)
            .filter(|of| !self.retracted.contains(of))
            .collect();
        void_repeats(&mut events, &fresh);
        self.retracted.extend(fresh);
        let tally = tally(&events);
        for (playlist, delta) in tally.increments {
            let known = self.playlists.entry(playlist.to_owned()).or_default();
            *known = apply(known.clone(), &[Step::Add(delta)]);
        }
        for (playlist, steps) in tally.lifecycle_steps {
            let known = self.playlists.entry(playlist.to_owned()).or_default();
            *known = apply(known.clone(), &steps);
        }
    }

    /// Without unknown playlists, which need no row.
    fn known(mut self) -> Self {
        self.playlists
            .retain(|_, playlist| *playlist != Playlist::default());
        self
    }
}

fn seen(events: &[Event<'static>]) -> World {
    let mut world = World::default();
    for event in events {
        world.see(event);
    }
    world.known()
}

fn folded(batches: &[&[Event<'static>]]) -> World {
    let mut world = World::default();
    for batch in batches {
        world.fold(batch);
    }
    world.known()
}

/// A play, or a retraction of one of a few ids; a retracted id belongs to one playlist.
fn count() -> impl Strategy<Value = Event<'static>> {
    (0..4u8, prop::option::of(0..6u8)).prop_map(|(playlist, of)| {
        let playlist = format!("p{playlist}");
        of.map_or_else(
            || play(&playlist),
            |of| retraction(&playlist, &format!("{playlist}-{of}")),
        )
    })
}

fn any_event() -> impl Strategy<Value = Event<'static>> {
    prop_oneof![
        6 => count(),
        1 => (0..4u8, 0..3u8).prop_map(|(playlist, by)| saved(&format!("p{playlist}"), &format!("u|{by}"))),
        1 => (0..4u8).prop_map(|playlist| deleted(&format!("p{playlist}"))),
        1 => (0..4u8, 0..3u8).prop_map(|(playlist, by)| deleted_by(&format!("p{playlist}"), &format!("u|{by}"))),
    ]
}

fn batch(of: impl Strategy<Value = Event<'static>>) -> impl Strategy<Value = Vec<Event<'static>>> {
    prop::collection::vec(of, 0..60)
}

proptest! {
    #[test]
    fn a_batch_equals_its_events_one_by_one(events in batch(any_event())) {
        prop_assert_eq!(folded(&[&events]), seen(&events));
    }

    #[test]
    fn where_a_batch_is_split_does_not_matter(
        events in batch(any_event()), cuts in prop::collection::vec(any::<Index>(), 0..4)
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(events.len() + 1)).collect();
        cuts.extend([0, events.len()]);
        cuts.sort_unstable();
        let batches: Vec<_> = cuts.windows(2).map(|ends| &events[ends[0]..ends[1]]).collect();
        prop_assert_eq!(folded(&batches), folded(&[&events]));
    }

    #[test]
    fn the_order_of_plays_and_retractions_does_not_matter(
        (events, shuffled) in batch(count())
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle()))
    ) {
        prop_assert_eq!(folded(&[&events]), folded(&[&shuffled]));
    }

    #[test]
    fn repeated_retractions_change_nothing(events in batch(any_event()), again in batch(any_event())) {
        let retractions = |from: &[Event<'static>]| -> Vec<_> {
            from.iter().filter(|event| matches!(event.kind, Kind::Retraction { .. })).cloned().collect()
        };
        let repeats = retractions(&events);
        let mut with_repeats = events.clone();
        with_repeats.extend(repeats.iter().cloned());
        prop_assert_eq!(folded(&[&with_repeats]), folded(&[&events]));
        prop_assert_eq!(folded(&[&events, &repeats, &again]), folded(&[&events, &again]));
    }

    #[test]
    fn lists_are_sorted_disjoint_and_without_zeros(events in batch(any_event())) {
        let Tally { increments, lifecycle_steps } = tally(&events);
        let mut all: Vec<_> = increments.iter().map(|add| add.0).chain(lifecycle_steps.iter().map(|life| life.0)).collect();
        prop_assert!(increments.is_sorted_by(|a, b| a.0 < b.0) && lifecycle_steps.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert!(increments.iter().all(|add| add.1 != 0));
        all.sort_unstable();
        prop_assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_crossing_is_where_the_reference_changes_zone_last(
        mut events in batch(any_event()), line in 1..4i64
    ) {
        let fresh: HashSet<String> = retracted(&events).into_iter().map(ToString::to_string).collect();
        void_repeats(&mut events, &fresh);
        let zone = |playlist: &Playlist| u8::from(playlist.plays >= line);
        let (mut world, mut zones) = (World::default(), vec![0]);
        for event in &events {
            world.see(event);
            zones.push(world.playlists.get("p0").map_or(0, zone));
        }
        let last = zones.windows(2).rposition(|pair| pair[0] != pair[1]).filter(|_| zones.last() != Some(&0));
        let found = last_crossing(&events, "p0", &Playlist::default(), zone);
        prop_assert_eq!(found.map(|crossing| crossing.index), last);
    }

    #[test]
    fn a_total_crosses_where_the_sum_of_the_reference_does(
        known in batch(any_event()), mut events in batch(any_event()), line in 1..4i64
    ) {
        let mut world = World::default();
        for event in &known {
            world.see(event);
        }
        let retracted_now: Vec<String> = retracted(&events).into_iter().map(ToString::to_string).collect();
        let fresh: HashSet<String> = retracted_now.into_iter().filter(|of| !world.retracted.contains(of)).collect();
        void_repeats(&mut events, &fresh);
        let total = |world: &World| world.playlists.values().map(|one| one.share_of("u|1")).sum::<i64>();
        let zone = |total: i64| u8::from(total >= line);
        let before = world.playlists.clone();
        let unknown = Playlist::default();
        let before: HashMap<&str, &Playlist> = events
            .iter()
            .map(|event| (event.playlist.as_str(), before.get(event.playlist.as_str()).unwrap_or(&unknown)))
            .collect();
        let total_before = total(&world);
        let mut zones = vec![zone(total_before)];
        for event in &events {
            world.see(event);
            zones.push(zone(total(&world)));
        }
        let last = zones.windows(2).rposition(|pair| pair[0] != pair[1]).filter(|_| zones.last() != zones.first());
        let found = last_total_crossing(&events, "u|1", &before, total_before, zone);
        prop_assert_eq!(found.map(|crossing| crossing.index), last);
    }
}
