//! The traffic of a soak: plays around the threshold, playlists that change hands or go, and another client's writes.
//!
//! Owns the intended roles of the other client, as a list that no part of the worker has computed.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::json;

use crate::world::World;
use crate::world::events::{Sent, deleted, play, plays, poison, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::races::{OTHER, THEIRS};

const USERS: usize = 10;
/// Playlists; the number of a playlist is that of its first owner.
const PLAYLISTS: usize = 14;
/// Plays of a new playlist: one less than the threshold.
const BEFORE: u32 = 99;
/// Events of which one may be sent again: well inside the duplicate window.
const RECENT: usize = 20;

/// The traffic of a soak.
pub(super) struct Traffic {
    /// Plays of each playlist that can be retracted.
    played: BTreeMap<String, Vec<String>>,
    recent: Vec<Sent>,
    /// The intended roles of the other client, by user.
    meant: BTreeMap<String, BTreeSet<String>>,
    /// Writes of the other client that the worker has reported as not restored, by user.
    reported: BTreeMap<String, i64>,
    steps: u32,
}

fn user(number: usize) -> String {
    format!("auth0|u{}", number % USERS)
}

impl Traffic {
    /// Users and playlists just below the threshold.
    pub(super) async fn start(world: &World) -> Self {
        let mentor = || BTreeSet::from(["mentor".to_owned()]);
        let mut traffic = Self {
            played: BTreeMap::new(),
            recent: vec![],
            meant: (0..USERS).map(|number| (user(number), mentor())).collect(),
            reported: BTreeMap::new(),
            steps: 0,
        };
        for number in 0..USERS {
            world.seed_user(&user(number), &["mentor"]);
        }
        for number in 0..PLAYLISTS {
            let playlist = format!("pl_{number}");
            traffic.begin(world, &playlist, &user(number)).await;
        }
        traffic
    }

    /// A new life of a playlist.
    async fn begin(&mut self, world: &World, playlist: &str, owner: &str) {
        let name = format!("{playlist}-{}", self.steps);
        let mut events = vec![saved(&format!("s-{name}"), playlist, owner)];
        events.extend(plays(&name, playlist, 0..BEFORE));
        world.publish(&events).await;
        let ids = (0..BEFORE).map(|number| format!("{name}-{number}"));
        self.played.insert(playlist.to_owned(), ids.collect());
    }

    /// One step; returns what it was.
    pub(super) async fn step(&mut self, world: &World, rng: &mut StdRng) -> String {
        self.steps += 1;
        let playlist = format!("pl_{}", rng.random_range(0..PLAYLISTS));
        let (owner, id) = (user(rng.random_range(0..USERS)), format!("e-{}", self.steps));
        match rng.random_range(0..100) {
            0..70 => {
                let event = self.cross(&id, &playlist);
                self.send(world, event, "play or retraction").await
            }
            70..75 => {
                self.send(world, saved(&id, &playlist, &owner), "another owner")
                    .await
            }
            75..77 => {
                world.publish(&[deleted(&id, &playlist)]).await;
                self.begin(world, &playlist, &owner).await;
                format!("deleted and made again: {playlist} of {owner}")
            }
            77..80 => {
                let event = poison(&id, &playlist, format!("{{{id}"), "not_json");
                self.send(world, event, "unreadable").await
            }
            80..88 => match self.recent.choose(rng).cloned() {
                Some(event) => self.send(world, event, "again").await,
                None => "nothing".to_owned(),
            },
            _ => self.edit(world, &owner, rng),
        }
    }

    /// A play at the threshold, or the retraction of one above it.
    fn cross(&mut self, id: &str, playlist: &str) -> Sent {
        let played = self.played.entry(playlist.to_owned()).or_default();
        if played.len() > BEFORE as usize {
            let of = played.pop().unwrap_or_default();
            return retraction(id, &of, playlist);
        }
        played.push(id.to_owned());
        play(id, playlist)
    }

    async fn send(&mut self, world: &World, event: Sent, kind: &str) -> String {
        world.publish(std::slice::from_ref(&event)).await;
        let done = format!("{kind}: {} {}", event.subject, event.id);
        self.recent.push(event);
        if self.recent.len() > RECENT {
            self.recent.remove(0);
        }
        done
    }

    /// Another client gives or takes a role of its own.
    fn edit(&mut self, world: &World, user: &str, rng: &mut StdRng) -> String {
        let role = (*THEIRS.choose(rng).expect("some roles")).to_owned();
        let mut roles = world.roles(user);
        let meant = self.meant.entry(user.to_owned()).or_default();
        // The change is made from the list as it is: our write may have undone an earlier one, and not restored it yet.
        if roles.contains(&role) {
            roles.retain(|one| *one != role);
            meant.remove(&role);
        } else {
            roles.push(role.clone());
            meant.insert(role.clone());
        }
        let patch = json!({"app_metadata": {"roles": roles}});
        let edited = world.tenant.edit_by_other_client(OTHER, user, patch);
        edited.expect("an edit");
        format!("another client: {user} now {roles:?}")
    }

    /// Users with other roles than the intended and earned ones, in any order: a restored role comes first in the list. Where the
    /// response to a write of ours was lost, a role that it removed is reported and not restored: the operator has to act, and here
    /// the roles that are left are the intended ones from then on.
    pub(super) async fn wrong(&mut self, world: &World) -> Vec<String> {
        let expected = world.oracle().expected();
        let mut wrong = Vec::new();
        let reported = reports(world).await;
        for (user, meant) in &mut self.meant {
            let (own, others): (Vec<_>, Vec<_>) =
                world.roles(user).into_iter().partition(|role| role == ROLE);
            let is_earned = expected.earns(std::slice::from_ref(user));
            if own.len() != usize::from(is_earned) {
                wrong.push(format!("{user}: earns the role: {is_earned}, has {own:?}"));
            }
            let held: BTreeSet<String> = others.iter().cloned().collect();
            if held.len() == others.len() && held == *meant {
                continue;
            }
            if reported.get(user) > self.reported.get(user) {
                *meant = held;
            } else {
                wrong.push(format!(
                    "{user}: the other client left {meant:?}, found {others:?}"
                ));
            }
        }
        self.reported = reported;
        wrong
    }

    /// The number of writes that were reported as not restored.
    pub(super) fn reported(&self) -> i64 {
        self.reported.values().sum()
    }
}

/// Writes of the other client that were reported as not restored, by user.
async fn reports(world: &World) -> BTreeMap<String, i64> {
    let rows =
        "SELECT user_id, count(*) AS reported FROM races WHERE outcome = 'unconfirmed' GROUP BY user_id";
    let rows = world.rows(rows).await;
    let of_user = rows.iter().filter_map(|row| {
        let user = row["user_id"].as_str()?;
        Some((user.to_owned(), row["reported"].as_i64()?))
    });
    of_user.collect()
}
