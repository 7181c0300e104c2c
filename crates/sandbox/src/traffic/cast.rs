//! The cast: users with the roles they bring along, and playlists with the plays they are to get.
//!
//! Owns the numbers that make the sample worth looking at: who crosses the line, who stops right at it or one
//! short, who holds the role from before. Must never depend on anything but the seed.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{LINE, ROLE};

/// All users.
pub const USERS: usize = 200;
/// Of them, those who hold the role from before and have no plays.
pub const OLD_EDITORS: usize = 20;
/// Of them, those who sign up while the traffic runs.
pub const NEWCOMERS: usize = 30;
/// Plays in all.
pub const PLAYS: i64 = 20_000;

/// Owners with more plays than needed, with exactly enough, and with one too few.
const ABOVE: usize = 40;
const EXACTLY: usize = 10;
const ONE_SHORT: usize = 10;
/// Nobody else comes near the line.
const FAR_BELOW: i64 = LINE - 3;

/// Roles of other parts of the app, which nobody but those may touch.
const OTHER_ROLES: [&str; 7] = [
    "moderator",
    "beta_tester",
    "playlist_editor_emeritus",
    "Playlist_Editor",
    "label:indie",
    "admin",
    "staff",
];

/// When a user comes to the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Was there before, holds the role from before, owns nothing.
    OldEditor,
    /// Was there before.
    Member,
    /// Signs up while the traffic runs.
    Newcomer,
}

/// One user.
#[derive(Clone, Debug)]
pub struct User {
    /// Auth0 user id, of several providers.
    pub id: String,
    /// When the user comes.
    pub kind: Kind,
    /// The profile, as `POST /users` would take it.
    pub profile: Value,
}

/// One playlist.
#[derive(Clone, Debug)]
pub struct Playlist {
    /// The app's id.
    pub id: String,
    /// Index of its owner.
    pub owner: usize,
    /// Plays it is to get.
    pub plays: i64,
}

/// Everybody and everything.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Users, old editors first, newcomers last.
    pub users: Vec<User>,
    /// Playlists. The first ones get at least [`LINE`] plays, see [`Cast::crossing`].
    pub playlists: Vec<Playlist>,
}

impl Cast {
    /// The cast of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let users: Vec<User> = (0..USERS).map(|index| user(index, &mut rng)).collect();
        let playlists = playlists(&mut rng);
        Self { users, playlists }
    }

    /// The playlists that reach the line: first those with more plays than needed, then those with exactly
    /// enough. Each has another owner.
    #[must_use]
    pub fn crossing(&self) -> (&[Playlist], &[Playlist]) {
        self.playlists[..ABOVE + EXACTLY].split_at(ABOVE)
    }

    /// The playlists that stop one short of the line.
    #[must_use]
    pub fn one_short(&self) -> &[Playlist] {
        &self.playlists[ABOVE + EXACTLY..ABOVE + EXACTLY + ONE_SHORT]
    }
}

fn user(index: usize, rng: &mut StdRng) -> User {
    let kind = match index {
        _ if index < OLD_EDITORS => Kind::OldEditor,
        _ if index < USERS - NEWCOMERS => Kind::Member,
        _ => Kind::Newcomer,
    };
    let id = match rng.random_range(0..10) {
        // Ids whose characters have to be escaped in a path.
        0 => format!("samlp|acme|user.{index}+music@acme.example"),
        1 | 2 => format!("google-oauth2|{:021}", rng.random::<u64>()),
        _ => format!("auth0|{:024x}", rng.random::<u128>() >> 32),
    };
    let mut profile = json!({
        "email": format!("user{index}@listeners.example"),
        "email_verified": true,
        "user_metadata": {"displayName": format!("Listener {index}")},
    });
    if let Some(app_metadata) = app_metadata(kind, rng) {
        profile["app_metadata"] = app_metadata;
    }
    User { id, kind, profile }
}

/// A third has none, some have other keys only, the rest has other roles, in any order and some twice.
fn app_metadata(kind: Kind, rng: &mut StdRng) -> Option<Value> {
    let mut roles: Vec<&str> = (0..rng.random_range(1..=4))
        .filter_map(|_| OTHER_ROLES.choose(rng).copied())
        .collect();
    if kind == Kind::OldEditor {
        roles.truncate(rng.random_range(0..=3));
        roles.insert(rng.random_range(0..=roles.len()), ROLE);
        return Some(json!({"roles": roles, "plan": "premium"}));
    }
    match rng.random_range(0..6) {
        0 | 1 => None,
        2 => Some(json!({"plan": "premium", "library": {"songs": 12}})),
        3 => Some(json!({"roles": roles})),
        _ => Some(json!({"plan": "free", "roles": roles, "seats": [1, 2]})),
    }
}

fn playlists(rng: &mut StdRng) -> Vec<Playlist> {
    let mut owners: Vec<usize> = (OLD_EDITORS..USERS).collect();
    owners.shuffle(rng);
    let mut playlists: Vec<Playlist> = owners
        .iter()
        .enumerate()
        .map(|(place, owner)| Playlist {
            id: format!("pl_{owner:03}_a"),
            owner: *owner,
            plays: match place {
                _ if place < ABOVE => rng.random_range(LINE + 1..=LINE + 160),
                _ if place < ABOVE + EXACTLY => LINE,
                _ if place < ABOVE + EXACTLY + ONE_SHORT => LINE - 1,
                _ => 0,
            },
        })
        .collect();
    // A second one for most, also for those with the role: what counts is the best, not the sum.
    let seconds = owners.iter().filter(|owner| *owner % 4 != 0);
    playlists.extend(seconds.map(|owner| Playlist {
        id: format!("pl_{owner:03}_b"),
        owner: *owner,
        plays: 0,
    }));
    let fixed = ABOVE + EXACTLY + ONE_SHORT;
    let given: i64 = playlists.iter().map(|playlist| playlist.plays).sum();
    let rest = &mut playlists[fixed..];
    for _ in given..PLAYS {
        loop {
            let place = rng.random_range(0..rest.len());
            if rest[place].plays < FAR_BELOW {
                rest[place].plays += 1;
                break;
            }
        }
    }
    playlists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_gives_a_cast_worth_looking_at() {
        for seed in 0..20 {
            let cast = Cast::new(seed);
            let plays: i64 = cast.playlists.iter().map(|playlist| playlist.plays).sum();
            assert_eq!((cast.users.len(), plays), (USERS, PLAYS), "seed {seed}");
            let (above, exactly) = cast.crossing();
            assert!(above.iter().all(|playlist| playlist.plays > LINE));
            assert!(exactly.iter().all(|playlist| playlist.plays == LINE));
            assert!(cast.one_short().iter().all(|playlist| playlist.plays == LINE - 1));
            let mut ids: Vec<&str> = cast.users.iter().map(|user| user.id.as_str()).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), USERS);
            let roles = |user: &User| user.profile["app_metadata"]["roles"].to_string();
            for user in &cast.users {
                let holds = roles(user).contains("\"playlist_editor\"");
                assert_eq!(holds, user.kind == Kind::OldEditor, "seed {seed}: {}", user.id);
            }
            assert!(
                cast.playlists
                    .iter()
                    .all(|playlist| cast.users[playlist.owner].kind != Kind::OldEditor)
            );
        }
    }
}
