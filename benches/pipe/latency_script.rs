//! The events of a latency measurement.
//!
//! Owns the events and the reference count: most plays are of playlists far above the threshold; at intervals, a play makes a
//! user cross it upwards, or a retraction downwards. Must never let a user cross twice in a round: the worker's debounce would
//! delay the second change.

use std::collections::HashMap;

use anyhow::Result;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Zipf};
use rolekeeper_sandbox::traffic::THRESHOLD;

use crate::database::{PLAYS_BEFORE, owner_id};
use crate::latency_plays::{Outgoing, PER_SECOND};
use crate::stream::{ZIPF, playlist_id};

/// Crossings in one round.
const SECONDS: usize = 20;
const CROSSINGS: usize = 2 * SECONDS;
const WARM_UP_SECONDS: usize = 2;

/// Playlists in a block, where the number in the block is the number of initial plays: the first half stays below the
/// threshold.
const BLOCK: u32 = PLAYS_BEFORE;
const HALF: u32 = BLOCK / 2;
/// The number in its block of a playlist that crosses the threshold with a single play.
const ONE_BELOW: u32 = 99;

/// A user who crosses the threshold once per round.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    playlist: u32,
    /// The play that gave the role, while the user qualifies.
    earned_by: Option<String>,
}

impl User {
    /// Whether the user qualifies for the role now.
    pub(crate) fn earns(&self) -> bool {
        self.earned_by.is_some()
    }
}

/// One crossing.
#[derive(Debug)]
pub(crate) struct Crossing {
    /// Index of the event.
    pub(crate) event: usize,
    pub(crate) user: String,
    pub(crate) granted: bool,
}

/// All published events.
pub(crate) struct Script {
    pub(crate) users: Vec<User>,
    /// Change of the plays of each playlist, by number.
    pub(crate) counts: HashMap<u32, i64>,
    /// Number of crossings.
    pub(crate) crossed: usize,
    events: u64,
    played: Zipf<f64>,
    rng: StdRng,
}

/// The events of one part.
pub(crate) struct Part {
    pub(crate) events: Vec<Outgoing>,
    pub(crate) crossings: Vec<Crossing>,
}

impl Script {
    pub(crate) fn new(playlists: u32) -> Result<Self> {
        let blocks = playlists / BLOCK;
        let user = |block: u32| User {
            id: owner_id(block * BLOCK + ONE_BELOW),
            playlist: block * BLOCK + ONE_BELOW,
            earned_by: None,
        };
        let users: Vec<User> = (0..blocks).map(user).take(CROSSINGS).collect();
        anyhow::ensure!(users.len() == CROSSINGS, "too few playlists for the crossings");
        debug_assert_eq!(i64::from(ONE_BELOW) + 1, THRESHOLD);
        Ok(Self {
            users,
            counts: HashMap::new(),
            crossed: 0,
            events: 0,
            played: Zipf::new(f64::from(blocks * HALF), ZIPF)?,
            rng: StdRng::seed_from_u64(7),
        })
    }

    /// Lets half of the users get the role.
    pub(crate) fn warm_up(&mut self) -> Part {
        self.part(WARM_UP_SECONDS, (0..CROSSINGS / 2).collect())
    }

    /// Lets the holders lose the role and the other users get it, in turns.
    pub(crate) fn round(&mut self) -> Part {
        let (earn, others): (Vec<usize>, Vec<usize>) =
            (0..CROSSINGS).partition(|user| self.users[*user].earns());
        let in_turns = others.into_iter().zip(earn).flat_map(<[usize; 2]>::from);
        self.part(SECONDS, in_turns.collect())
    }

    fn part(&mut self, seconds: usize, crossers: Vec<usize>) -> Part {
        let count = seconds * PER_SECOND;
        let every = count / crossers.len();
        let mut crossers = crossers.into_iter().peekable();
        let (mut events, mut crossings) = (vec![], vec![]);
        for event in 0..count {
            self.events += 1;
            let id = format!("01JD9ZK4{:018}", self.events);
            let due = event % every == every / 2;
            let Some(user) = crossers.next_if(|_| due) else {
                let playlist = self.over_the_line();
                *self.counts.entry(playlist).or_default() += 1;
                events.push(play(id, playlist));
                continue;
            };
            events.push(self.cross(user, id));
            crossings.push(Crossing {
                event,
                user: self.users[user].id.clone(),
                granted: self.users[user].earns(),
            });
        }
        self.crossed += crossings.len();
        Part { events, crossings }
    }

    /// Returns the play with which the user gets the role, or its retraction, with which the user loses it.
    fn cross(&mut self, user: usize, id: String) -> Outgoing {
        let user = &mut self.users[user];
        let count = self.counts.entry(user.playlist).or_default();
        if let Some(play) = user.earned_by.take() {
            *count -= 1;
            return retraction(id, user.playlist, &play);
        }
        *count += 1;
        user.earned_by = Some(id.clone());
        play(id, user.playlist)
    }

    /// Returns a playlist in the upper half of a block; a few of them are played most.
    fn over_the_line(&mut self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the distribution returns whole numbers from 1 to half of the playlists"
        )]
        let number = self.played.sample(&mut self.rng) as u32 - 1;
        number / HALF * BLOCK + HALF + number % HALF
    }
}

/// Returns a play of the playlist with this number.
pub(crate) fn play(id: String, playlist: u32) -> Outgoing {
    event("play", id, playlist, "")
}

fn retraction(id: String, playlist: u32, play: &str) -> Outgoing {
    event(
        "play_retracted",
        id,
        playlist,
        &format!("\"retracts\":\"{play}\",\"reason\":\"bot\","),
    )
}

fn event(kind: &str, id: String, playlist: u32, more: &str) -> Outgoing {
    let playlist = playlist_id(playlist);
    let body = format!(
        "{{\"type\":\"{kind}\",\"event_id\":\"{id}\",\"playlist_id\":\"{playlist}\",{more}\
         \"listener_id\":\"auth0|65f1c0ffee0000000007\",\"song_id\":\"s_000007\",\"played_at\":\"2026-11-23T10:00:00.123Z\"}}"
    );
    Outgoing {
        subject: format!("plays.{playlist}"),
        id,
        body,
    }
}
