//! Batches compared with a reference that handles one event at a time and shares no code with the tally.

mod reference;

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

fn event(playlist: &str, kind: EventKind<'static>) -> Event<'static> {
    Event {
        id: token("e"),
        playlist: token(playlist),
        kind,
    }
}

fn play(playlist: &str) -> Event<'static> {
    event(playlist, EventKind::Play)
}

fn retraction(playlist: &str, of: &str) -> Event<'static> {
    event(playlist, EventKind::Retraction { of: token(of) })
}

fn saved(playlist: &str, by: &str) -> Event<'static> {
    event(
        playlist,
        EventKind::Saved {
            owner: owner(by),
            name: format!("of {by}").into(),
        },
    )
}

fn deleted(playlist: &str) -> Event<'static> {
    event(playlist, EventKind::Deleted { owner: None })
}

/// A deletion for any owner.
const DELETE: Step<'static> = Step::Delete { owner: None };

fn deleted_by(playlist: &str, by: &str) -> Event<'static> {
    event(
        playlist,
        EventKind::Deleted {
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
    void_duplicates(&mut events, &ids(&["1", "not in the batch"]));
    let duplicate = event("a", EventKind::Duplicate);
    assert_eq!(
        events,
        [retraction("a", "1"), duplicate.clone(), play("a"), duplicate]
    );
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
        event("idle", EventKind::Duplicate),
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
fn the_crossing_is_the_last_change_of_band() {
    let band =
        |playlist: &Playlist| u8::from(playlist.shown() >= 100) + 2 * u8::from(playlist.owner.is_some());
    let at = |plays| Playlist {
        plays,
        ..Playlist::default()
    };
    let crossing = |events: &[Event<'_>], before| last_crossing(events, "a", &before, band);
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
        event("a", EventKind::Duplicate),
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
