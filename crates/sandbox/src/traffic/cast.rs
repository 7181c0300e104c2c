//! The cast: users with their initial roles, and playlists with their planned plays.
//!
//! Owns the numbers of the sample: users who cross the threshold, users who stop at it or one below, users who held the role
//! before. Must never depend on any input except the seed.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{ROLE, THRESHOLD};

/// All users.
pub const USERS: usize = 200;
/// Number of users who held the role before and have no plays.
pub const OLD_EDITORS: usize = 20;
/// Number of users who sign up while the traffic runs.
pub const NEWCOMERS: usize = 30;
/// Number of all plays.
pub const PLAYS: i64 = 20_000;

/// Numbers of owners with more plays than the threshold, with exactly the threshold, and with one less.
const ABOVE: usize = 40;
const EXACTLY: usize = 10;
const ONE_SHORT: usize = 10;
/// Most plays of all other playlists, well below the threshold.
const FAR_BELOW: i64 = THRESHOLD - 3;

/// Roles of other parts of the app, which only those parts may change.
const OTHER_ROLES: [&str; 7] = [
    "moderator",
    "beta_tester",
    "playlist_editor_emeritus",
    "Playlist_Editor",
    "label:indie",
    "admin",
    "staff",
];

/// When a user is created at the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The user existed and held the role before the traffic, and owns no playlist.
    OldEditor,
    /// The user existed before the traffic.
    Member,
    /// The user signs up while the traffic runs.
    Newcomer,
}

/// One user.
#[derive(Clone, Debug)]
pub struct User {
    /// Auth0 user id, of several providers.
    pub id: String,
    /// When the user is created.
    pub kind: Kind,
    /// The profile, in the format of `POST /users`.
    pub profile: Value,
}

/// One playlist.
#[derive(Clone, Debug)]
pub struct Playlist {
    /// The app's id.
    pub id: String,
    /// Index of its owner.
    pub owner: usize,
    /// Number of its planned plays.
    pub plays: i64,
}

/// All users and playlists.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Users, old editors first, newcomers last.
    pub users: Vec<User>,
    /// Playlists. The first ones get at least [`THRESHOLD`] plays, see [`Cast::crossing`].
    pub playlists: Vec<Playlist>,
}

impl Cast {
    /// Returns the cast of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let users: Vec<User> = (0..USERS).map(|index| user(index, &mut rng)).collect();
        let playlists = playlists(&mut rng);
        Self { users, playlists }
    }

    /// Returns the playlists that reach the threshold: first those with more plays, then those with exactly the threshold.
    /// Each has a different owner.
    #[must_use]
    pub fn crossing(&self) -> (&[Playlist], &[Playlist]) {
        self.playlists[..ABOVE + EXACTLY].split_at(ABOVE)
    }

    /// Returns the playlists that stop one below the threshold.
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
        // These ids have characters that must be escaped in a path.
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

/// Returns the initial `app_metadata`: a third of the users have none, some have other keys only, the others have other roles,
/// in any order and some twice.
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
                _ if place < ABOVE => rng.random_range(THRESHOLD + 1..=THRESHOLD + 160),
                _ if place < ABOVE + EXACTLY => THRESHOLD,
                _ if place < ABOVE + EXACTLY + ONE_SHORT => THRESHOLD - 1,
                _ => 0,
            },
        })
        .collect();
    // Most owners get a second playlist, also owners with the role: the best playlist counts, not the sum.
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
            assert!(above.iter().all(|playlist| playlist.plays > THRESHOLD));
            assert!(exactly.iter().all(|playlist| playlist.plays == THRESHOLD));
            assert!(
                cast.one_short()
                    .iter()
                    .all(|playlist| playlist.plays == THRESHOLD - 1)
            );
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
