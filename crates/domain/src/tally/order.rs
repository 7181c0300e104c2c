//! The events of a batch in order of playlist.
//!
//! Owns the fast comparison of ids. Must never order ids differently from their text: two transactions rely on one
//! order.

use super::Event;

/// An event with the beginning of its playlist's id; most ids differ there, so most comparisons need no more.
type Ordered<'e, 'a> = (u64, &'e Event<'a>);

/// The events in order of playlist; those of one playlist keep their order. The tally must be in order anyway, and
/// sorting all events at once costs less than a map and a sort of its entries.
pub(super) fn by_playlist<'e, 'a>(events: &'e [Event<'a>]) -> Vec<Ordered<'e, 'a>> {
    let mut ordered: Vec<Ordered<'_, '_>> = events
        .iter()
        .map(|event| (beginning(event.playlist.as_str()), event))
        .collect();
    ordered.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.playlist.cmp(&other.playlist)));
    ordered
}

pub(super) fn same_playlist((a, one): &Ordered<'_, '_>, (b, other): &Ordered<'_, '_>) -> bool {
    a == b && one.playlist == other.playlist
}

/// The first eight bytes as a number that sorts like the text. No id contains NUL, so a shorter id comes first.
fn beginning(id: &str) -> u64 {
    let id = id.as_bytes();
    let first = id.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; 8];
        for (to, from) in padded.iter_mut().zip(id) {
            *to = *from;
        }
        padded
    });
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::ids::Token;
    use super::super::EventKind;
    use super::*;

    proptest! {
        #[test]
        fn events_are_in_order_of_playlist_and_then_as_they_came(
            playlists in prop::collection::vec("[ab]{1,3}|same_beginning_[ab]{0,2}|[A-Za-z0-9_-]{1,64}", 0..40)
        ) {
            let event = |playlist: &String| Event {
                id: Token::parse("e").unwrap(),
                playlist: Token::parse(playlist.clone()).unwrap(),
                kind: EventKind::Play,
            };
            let events: Vec<_> = playlists.iter().map(event).collect();
            let mut expected: Vec<&Event<'_>> = events.iter().collect();
            expected.sort_by_key(|event| event.playlist.as_str());
            let ordered = by_playlist(&events);
            prop_assert_eq!(ordered.len(), expected.len());
            for ((_, event), expected) in ordered.iter().zip(expected) {
                prop_assert!(std::ptr::eq(*event, expected));
            }
        }
    }
}
