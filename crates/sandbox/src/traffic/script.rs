//! The script: all acts of a run, in their order.
//!
//! Owns the order: plays of all playlists, mixed with logins, sign-ups and edits at a support desk; then retractions of plays.
//! Must never send anything.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use time::OffsetDateTime;

use super::THRESHOLD;
use super::cast::{Cast, Kind, Playlist};
use super::event::Event;

/// Plays that the publisher sends twice, like a publisher that missed the acknowledgement.
const SENT_TWICE: usize = 400;
/// First share of the time in which newcomers sign up, before their playlists have enough plays.
const SIGN_UPS_IN: f64 = 0.15;
/// One in this many of the playlists that reach the threshold does so in a rush at the end: more users at once than the
/// tenant's rate limit permits.
const RUSH_EVERY: usize = 2;
/// Logins besides each user's first.
const MORE_LOGINS: usize = 60;
/// Tickets that the support desk notes while plays arrive.
const DESK_EDITS: usize = 20;
/// Numbers of owners above the threshold, and exactly at it, who lose plays and fall below.
const FALL: usize = 6;
/// Number of owners who lose plays and stay exactly at the threshold.
const STAY: usize = 6;
/// Retracted plays of playlists that never reached the threshold.
const FAR_FROM_IT: usize = 30;
/// Retractions that are sent a second time under another event id.
const TAKEN_TWICE: usize = 10;

/// One act.
#[derive(Clone, Debug)]
pub enum Act {
    /// An app server publishes.
    Publish(Box<Event>),
    /// A user, by index, logs in.
    Login(usize),
    /// A user, by index, signs up.
    SignUp(usize),
    /// The support desk notes a ticket at a user, by index; not a role.
    DeskEdit(usize, Value),
}

impl Act {
    /// Returns the published event, if the act publishes one.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Publish(event) => Some(event),
            _ => None,
        }
    }
}

/// All acts of a run.
#[derive(Debug)]
pub struct Script {
    /// Events that save playlists, sent first.
    pub saves: Vec<Event>,
    /// Acts after that, evenly spread over some time.
    pub acts: Vec<Act>,
    rng: StdRng,
    at: OffsetDateTime,
}

impl Script {
    /// Returns the script of this seed; `at` is the time in the plays.
    #[must_use]
    pub fn new(cast: &Cast, seed: u64, at: OffsetDateTime) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5c21);
        let saves = cast
            .playlists
            .iter()
            .map(|playlist| Event::saved(playlist, &cast.users[playlist.owner]));
        let saves = saves.collect();
        let mut acts = plays(cast, &mut rng, at);
        let (sign_ups, rest) = people(cast, &mut rng);
        sprinkle(&mut acts, sign_ups, SIGN_UPS_IN, &mut rng);
        sprinkle(&mut acts, rest, 1.0, &mut rng);
        Self { saves, acts, rng, at }
    }

    /// Returns the events of the script so far, in their order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.saves.iter().chain(self.acts.iter().filter_map(Act::event))
    }

    /// Returns the retractions after all plays are counted: some owners fall below the threshold, some stay exactly at it.
    pub fn take_back(&mut self, cast: &Cast) -> Vec<Event> {
        let (above, exactly) = cast.crossing();
        let mut wanted: Vec<(&Playlist, i64)> = Vec::new();
        for playlist in &above[..FALL] {
            wanted.push((
                playlist,
                playlist.plays - THRESHOLD + self.rng.random_range(1..=5),
            ));
        }
        wanted.extend(exactly[..FALL].iter().map(|playlist| (playlist, 1)));
        wanted.extend(
            above[FALL..FALL + STAY]
                .iter()
                .map(|playlist| (playlist, playlist.plays - THRESHOLD)),
        );
        let far = &cast.playlists[cast.playlists.len() - FAR_FROM_IT..];
        wanted.extend(
            far.iter()
                .filter(|playlist| playlist.plays > 0)
                .map(|playlist| (playlist, 1)),
        );
        let mut events = Vec::new();
        for (playlist, count) in &wanted {
            for number in 1..=*count {
                events.push(self.retraction(cast, &playlist.id, &play_id(&playlist.id, number), "bot"));
            }
        }
        for (playlist, _) in &wanted[..TAKEN_TWICE] {
            events.push(self.retraction(cast, &playlist.id, &play_id(&playlist.id, 1), "again"));
        }
        events.shuffle(&mut self.rng);
        events
    }

    fn retraction(&mut self, cast: &Cast, playlist: &str, play: &str, why: &str) -> Event {
        let listener = self.rng.random_range(0..cast.users.len());
        let id = format!("{why}_{play}");
        Event::retraction(id, playlist, play, &cast.users[listener], self.at)
    }
}

/// Returns the id of a playlist's n-th play, from 1.
fn play_id(playlist: &str, number: i64) -> String {
    format!("play_{playlist}_{number}")
}

/// Returns all plays: first the mixed ones, then the plays of the rush.
fn plays(cast: &Cast, rng: &mut StdRng, at: OffsetDateTime) -> Vec<Act> {
    let (mut events, mut rush) = (Vec::new(), Vec::new());
    for (place, playlist) in cast.playlists.iter().enumerate() {
        let in_rush = playlist.plays >= THRESHOLD && place.is_multiple_of(RUSH_EVERY);
        for number in 1..=playlist.plays {
            let listener = &cast.users[rng.random_range(0..cast.users.len())];
            let play = Event::play(play_id(&playlist.id, number), &playlist.id, listener, at);
            if in_rush && number >= THRESHOLD {
                rush.push(play);
            } else {
                events.push(play);
            }
        }
    }
    events.shuffle(rng);
    rush.shuffle(rng);
    events.extend(rush);
    let twice: Vec<Event> = events.sample(rng, SENT_TWICE).cloned().collect();
    let broken = Event::broken(&cast.playlists[0].id);
    let publish = |event| Act::Publish(Box::new(event));
    let mut acts: Vec<Act> = events.into_iter().map(publish).collect();
    let more = twice.into_iter().chain(broken).map(publish).collect();
    sprinkle(&mut acts, more, 1.0, rng);
    acts
}

/// Returns the other acts: newcomers sign up; every user who existed before logs in once, some more often.
fn people(cast: &Cast, rng: &mut StdRng) -> (Vec<Act>, Vec<Act>) {
    let (newcomers, there): (Vec<usize>, Vec<usize>) =
        (0..cast.users.len()).partition(|index| cast.users[*index].kind == Kind::Newcomer);
    let mut acts: Vec<Act> = there.iter().copied().map(Act::Login).collect();
    for _ in 0..MORE_LOGINS {
        acts.extend(there.choose(rng).copied().map(Act::Login));
    }
    let edited = there.sample(rng, DESK_EDITS);
    acts.extend(edited.map(|index| Act::DeskEdit(*index, format!("T-{index}").into())));
    (newcomers.into_iter().map(Act::SignUp).collect(), acts)
}

/// Inserts `more` at random positions in the first `share` of `acts`.
fn sprinkle(acts: &mut Vec<Act>, more: Vec<Act>, share: f64, rng: &mut StdRng) {
    let mut placed: Vec<(f64, Act)> = std::mem::take(acts)
        .into_iter()
        .enumerate()
        .map(|(place, act)| (place as f64, act))
        .collect();
    let end = placed.len() as f64 * share;
    placed.extend(more.into_iter().map(|act| (rng.random_range(0.0..end), act)));
    placed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    acts.extend(placed.into_iter().map(|(_, act)| act));
}
