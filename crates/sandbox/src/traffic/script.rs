//! The script: everything that happens, in its order.
//!
//! Owns the mixing: plays of all playlists among each other and among logins, sign-ups and edits at a support
//! desk; then plays that are taken back. Must never send anything.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use time::OffsetDateTime;

use super::LINE;
use super::cast::{Cast, Kind, Playlist};
use super::event::Event;

/// Plays that the publisher sends twice, as one does who missed the answer.
const SENT_TWICE: usize = 400;
/// Newcomers sign up within this first share of the time: before anybody has played enough of what they made.
const SIGN_UPS_IN: f64 = 0.15;
/// Every so many of the playlists that reach the line do so in a rush at the end: more at once than the
/// tenant's rate limit lets through.
const RUSH_EVERY: usize = 2;
/// Logins beside each user's first.
const MORE_LOGINS: usize = 60;
/// Tickets that the support desk notes while plays come in.
const DESK_EDITS: usize = 20;
/// Of those above the line and those exactly at it, how many lose plays and fall below it.
const FALL: usize = 6;
/// How many lose plays and stay right at it.
const STAY: usize = 6;
/// Plays taken back of playlists that never were near it.
const FAR_FROM_IT: usize = 30;
/// Takings back that are sent a second time under an id of their own.
const TAKEN_TWICE: usize = 10;

/// One thing that happens.
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
    /// What is published, if anything is.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Publish(event) => Some(event),
            _ => None,
        }
    }
}

/// Everything that happens.
#[derive(Debug)]
pub struct Script {
    /// Playlists are saved first.
    pub saves: Vec<Event>,
    /// Then this, evenly spread over some time.
    pub acts: Vec<Act>,
    rng: StdRng,
    at: OffsetDateTime,
}

impl Script {
    /// The script of this seed; `at` is the time that plays carry.
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

    /// The events of the script so far, in their order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.saves.iter().chain(self.acts.iter().filter_map(Act::event))
    }

    /// What is taken back once all plays are counted: some fall below the line, some stay right at it.
    pub fn take_back(&mut self, cast: &Cast) -> Vec<Event> {
        let (above, exactly) = cast.crossing();
        let mut wanted: Vec<(&Playlist, i64)> = Vec::new();
        for playlist in &above[..FALL] {
            wanted.push((playlist, playlist.plays - LINE + self.rng.random_range(1..=5)));
        }
        wanted.extend(exactly[..FALL].iter().map(|playlist| (playlist, 1)));
        wanted.extend(
            above[FALL..FALL + STAY]
                .iter()
                .map(|playlist| (playlist, playlist.plays - LINE)),
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

/// The id of a playlist's n-th play, from 1.
fn play_id(playlist: &str, number: i64) -> String {
    format!("play_{playlist}_{number}")
}

/// All plays: mixed, and behind them those of the rush.
fn plays(cast: &Cast, rng: &mut StdRng, at: OffsetDateTime) -> Vec<Act> {
    let (mut events, mut rush) = (Vec::new(), Vec::new());
    for (place, playlist) in cast.playlists.iter().enumerate() {
        let in_rush = playlist.plays >= LINE && place.is_multiple_of(RUSH_EVERY);
        for number in 1..=playlist.plays {
            let listener = &cast.users[rng.random_range(0..cast.users.len())];
            let play = Event::play(play_id(&playlist.id, number), &playlist.id, listener, at);
            if in_rush && number >= LINE {
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

/// What people do meanwhile: newcomers sign up; and everybody who was there logs in once, some more often.
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

/// Puts `more` at random places of the first `share` of `acts`.
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
