//! Any batch compared with a reference that handles one event at a time and shares no code with the tally.

use super::*;

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
            EventKind::Play => known.plays += i64::from(!known.deleted),
            EventKind::Retraction { of } => {
                if self.retracted.insert(of.to_string()) && !known.deleted {
                    known.plays -= 1;
                }
            }
            EventKind::Saved { owner, name } => {
                let plays = if known.deleted { 0 } else { known.plays };
                let (owner, name) = (Some(owner.clone().into_owned()), Some(name.to_string()));
                *known = Playlist {
                    plays,
                    deleted: false,
                    owner,
                    name,
                };
            }
            EventKind::Deleted { owner } => {
                if owner.is_none()
                    || known.owner.as_ref().map(UserId::as_str) == owner.as_ref().map(UserId::as_str)
                {
                    (known.plays, known.deleted) = (0, true);
                }
            }
            EventKind::Duplicate => {}
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
        void_duplicates(&mut events, &fresh);
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
            from.iter().filter(|event| matches!(event.kind, EventKind::Retraction { .. })).cloned().collect()
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
    fn a_crossing_is_where_the_reference_changes_band_last(
        mut events in batch(any_event()), threshold in 1..4i64
    ) {
        let fresh: HashSet<String> = retracted(&events).into_iter().map(ToString::to_string).collect();
        void_duplicates(&mut events, &fresh);
        let band = |playlist: &Playlist| u8::from(playlist.plays >= threshold);
        let (mut world, mut bands) = (World::default(), vec![0]);
        for event in &events {
            world.see(event);
            bands.push(world.playlists.get("p0").map_or(0, band));
        }
        let last = bands.windows(2).rposition(|pair| pair[0] != pair[1]).filter(|_| bands.last() != Some(&0));
        let found = last_crossing(&events, "p0", &Playlist::default(), band);
        prop_assert_eq!(found.map(|crossing| crossing.index), last);
    }

    #[test]
    fn a_total_crosses_where_the_sum_of_the_reference_does(
        known in batch(any_event()), mut events in batch(any_event()), threshold in 1..4i64
    ) {
        let mut world = World::default();
        for event in &known {
            world.see(event);
        }
        let retracted_now: Vec<String> = retracted(&events).into_iter().map(ToString::to_string).collect();
        let fresh: HashSet<String> = retracted_now.into_iter().filter(|of| !world.retracted.contains(of)).collect();
        void_duplicates(&mut events, &fresh);
        let total = |world: &World| world.playlists.values().map(|one| one.share_of("u|1")).sum::<i64>();
        let band = |total: i64| u8::from(total >= threshold);
        let before = world.playlists.clone();
        let unknown = Playlist::default();
        let before: HashMap<&str, &Playlist> = events
            .iter()
            .map(|event| (event.playlist.as_str(), before.get(event.playlist.as_str()).unwrap_or(&unknown)))
            .collect();
        let total_before = total(&world);
        let mut bands = vec![band(total_before)];
        for event in &events {
            world.see(event);
            bands.push(band(total(&world)));
        }
        let last = bands.windows(2).rposition(|pair| pair[0] != pair[1]).filter(|_| bands.last() != bands.first());
        let found = last_total_crossing(&events, &["u|1"], &before, total_before, band);
        prop_assert_eq!(found.map(|crossing| crossing.index), last);
    }
}
