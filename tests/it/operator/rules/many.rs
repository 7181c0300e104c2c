//! Several rules at once, among them rules over all of a user's playlists.
//!
//! Owns a model that processes one event at a time, and so knows which event moved which user across which threshold.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::world::events::{Sent, deleted, play, plays, retraction, saved};
use crate::world::rules::{RulesFile, rule};
use crate::world::{ANN, World};

/// A rule of the model: role, over all playlists or not, granted at, revoked below.
type Line = (&'static str, bool, i64, i64);
/// User, role, granted or not, event.
type Flip = (String, String, bool, String);

/// The expected state, event by event.
#[derive(Debug)]
struct Model {
    lines: Vec<Line>,
    playlists: BTreeMap<String, (Option<String>, i64, bool)>,
    retracted: HashSet<String>,
    holds: BTreeSet<(String, &'static str)>,
    flips: Vec<Flip>,
}

impl Model {
    fn new(lines: &[Line]) -> Self {
        Self {
            lines: lines.to_vec(),
            playlists: BTreeMap::new(),
            retracted: HashSet::new(),
            holds: BTreeSet::new(),
            flips: vec![],
        }
    }

    fn take(&mut self, sent: &Sent) {
        let event: Value = serde_json::from_slice(&sent.payload).expect("good events are JSON");
        let text = |field: &str| {
            event[field]
                .as_str()
                .expect("good events are complete")
                .to_owned()
        };
        let list = self.playlists.entry(text("playlist_id")).or_default();
        let owner_before = list.0.clone();
        match event["type"].as_str().expect("a type") {
            "play" if !list.2 => list.1 += 1,
            "play_retracted" if self.retracted.insert(text("retracts")) && !list.2 => list.1 -= 1,
            "playlist_saved" => (list.0, list.2) = (Some(text("owner_id")), false),
            "playlist_deleted" => (list.1, list.2) = (0, true),
            _ => {}
        }
        let owner = list.0.clone();
        for user in BTreeSet::from([owner_before, owner]).into_iter().flatten() {
            self.decide(&user, &sent.id);
        }
    }

    fn decide(&mut self, user: &str, event: &str) {
        for (role, all, grant_at, revoke_below) in self.lines.clone() {
            let plays = self.plays(user, all);
            let key = (user.to_owned(), role);
            let held = self.holds.contains(&key);
            let wanted = plays >= if held { revoke_below } else { grant_at };
            if wanted != held {
                if wanted {
                    self.holds.insert(key);
                } else {
                    self.holds.remove(&key);
                }
                self.flips.push((user.into(), role.into(), wanted, event.into()));
            }
        }
    }

    fn plays(&self, user: &str, all: bool) -> i64 {
        let theirs = self
            .playlists
            .values()
            .filter(|(owner, _, deleted)| owner.as_deref() == Some(user) && !deleted);
        let shown = theirs.map(|(_, plays, _)| (*plays).max(0));
        if all {
            shown.sum()
        } else {
            shown.max().unwrap_or(0)
        }
    }

    fn roles(&self, user: &str) -> BTreeSet<String> {
        let own = self.holds.iter().filter(|(holder, _)| holder == user);
        own.map(|(_, role)| (*role).to_owned())
            .chain(["mentor".to_owned()])
            .collect()
    }

    /// Fails unless totals and roles are as expected.
    async fn compare(&self, world: &World, users: &[&str]) {
        let rows = world.rows("SELECT user_id, plays FROM owner_totals WHERE generation = (SELECT totals_generation FROM rules_in_force)").await;
        let total = |user: &str| {
            let row = rows.iter().find(|row| row["user_id"] == *user);
            row.map_or(0, |row| row["plays"].as_i64().expect("a number"))
        };
        for user in users {
            assert_eq!(total(user), self.plays(user, true), "total of {user}");
            let roles = world.roles(user);
            assert_eq!(roles.len(), self.roles(user).len(), "{user}: {roles:?}");
            assert_eq!(
                roles.into_iter().collect::<BTreeSet<_>>(),
                self.roles(user),
                "{user}"
            );
        }
    }
}

/// Completed changes, with the event that each names.
async fn audited(world: &World) -> Vec<(String, String, bool, Option<String>)> {
    let rows = world
        .rows("SELECT user_id, role, change, event_id FROM role_changes WHERE completed_at IS NOT NULL")
        .await;
    let text = |row: &Value, field: &str| row[field].as_str().map(str::to_owned);
    let row = |row: &Value| {
        let user = text(row, "user_id").expect("a user");
        let role = text(row, "role").expect("a role");
        (user, role, row["change"] == "granted", text(row, "event_id"))
    };
    rows.iter().map(row).collect()
}

/// A world whose workers have this file, and users who are mentors.
async fn world(file: &RulesFile, users: &[&str]) -> World {
    let world = World::builder()
        .workers(0)
        .env("RULES_FILE", file.path().display())
        .env("AUTH0_TIMEOUT_S", 1)
        .env("SWEEP_INTERVAL_S", 1)
        .start()
        .await;
    for user in users {
        world.seed_user(user, &["mentor"]);
    }
    world.start_worker().await;
    world
}

const BOB: &str = "auth0|bob";

/// The steps of Ann and Bob; in each step a user crosses a threshold of a rule at most once, so the event of each
/// change is known.
fn story() -> Vec<Vec<Sent>> {
    let retract = |numbers: std::ops::Range<u32>| {
        numbers
            .map(|n| retraction(&format!("r-{n}"), &format!("b2-{n}"), "pl_b2"))
            .collect()
    };
    let mut start = vec![
        saved("s1", "pl_a1", ANN),
        saved("s2", "pl_a2", ANN),
        saved("s3", "pl_a3", ANN),
        saved("s4", "pl_b1", BOB),
        saved("s5", "pl_b2", BOB),
    ];
    for (name, playlist, count) in [
        ("a1", "pl_a1", 90),
        ("a2", "pl_a2", 59),
        ("b1", "pl_b1", 80),
        ("b2", "pl_b2", 60),
    ] {
        start.extend(plays(name, playlist, 0..count));
    }
    // Ann 149, Bob 140.
    vec![
        start,
        // Ann 151, by plays of the third playlist; Bob 149, by plays of both.
        [
            plays("b2", "pl_b2", 60..64),
            plays("a3", "pl_a3", 0..2),
            plays("b1", "pl_b1", 80..85),
        ]
        .concat(),
        // Ann 61, Bob 239.
        vec![saved("move-1", "pl_a1", BOB)],
        // Bob 179.
        retract(0..60),
        // A repeat counts nothing.
        retract(0..60),
        // Bob 94, Ann 150.
        [vec![deleted("gone-1", "pl_b1")], plays("a3", "pl_a3", 2..91)].concat(),
        // Bob's playlist 100.
        plays("a1", "pl_a1", 90..100),
        // The same playlist is Ann's now: 250.
        vec![saved("move-2", "pl_a1", ANN)],
        // A deleted one is saved again at 0, gets a retraction below 0, and moves.
        [
            vec![saved("back", "pl_b1", BOB)],
            plays("b1x", "pl_b1", 0..50),
            vec![saved("move-3", "pl_b1", ANN)],
        ]
        .concat(),
    ]
}

/// Each user has the roles of each rule, and each change names its event.
#[tokio::test]
async fn each_change_under_several_rules_names_its_event() {
    let rules = [
        rule("playlist_editor", 100, 100, ""),
        rule("curator", 150, 150, "of = \"all_playlists\""),
        rule("patron", 200, 180, "of = \"all_playlists\""),
    ];
    let file = RulesFile::new(&rules.concat());
    let world = world(&file, &[ANN, BOB]).await;
    let mut model = Model::new(&[
        ("playlist_editor", false, 100, 100),
        ("curator", true, 150, 150),
        ("patron", true, 200, 180),
    ]);
    for (step, events) in story().into_iter().enumerate() {
        world.publish(&events).await;
        if step % 3 == 2 {
            world.worker().kill9().await;
            world.start_worker().await;
        }
        for event in &events {
            model.take(event);
        }
        world.quiet().await;
        model.compare(&world, &[ANN, BOB]).await;
        let mut named = audited(&world).await;
        let expected = model.flips.iter().cloned();
        let mut expected: Vec<_> = expected
            .map(|(user, role, up, event)| (user, role, up, Some(event)))
            .collect();
        named.sort();
        expected.sort();
        assert_eq!(named, expected, "after step {step}");
    }
    assert_eq!(
        model.flips.len(),
        11,
        "the story is as it was meant: {:?}",
        model.flips
    );
}

/// F21: a playlist deleted, or moved to another owner, while its count is at the threshold: both users are right. Here it is played before
/// the fold reads the move: the move is the cause, not the plays.
#[tokio::test]
async fn f21_a_move_at_the_line_is_named_although_plays_follow_it() {
    let file = RulesFile::new(&rule("playlist_editor", 100, 100, ""));
    let world = world(&file, &[ANN, BOB]).await;
    let mut model = Model::new(&[("playlist_editor", false, 100, 100)]);
    let start = [vec![saved("s1", "pl_1", ANN)], plays("p", "pl_1", 0..100)].concat();
    let there = [vec![saved("move-1", "pl_1", BOB)], plays("q", "pl_1", 0..5)].concat();
    // Below the threshold it is still Bob's, back at it already Ann's.
    let mut back: Vec<Sent> = (0..6)
        .map(|n| retraction(&format!("r-{n}"), &format!("p-{n}"), "pl_1"))
        .collect();
    back.push(saved("move-2", "pl_1", ANN));
    back.extend(plays("t", "pl_1", 0..3));
    for events in [start, there, back] {
        // All of them in one batch.
        world.worker().sigstop();
        world.publish(&events).await;
        world.worker().sigcont();
        for event in &events {
            model.take(event);
        }
        world.quiet().await;
        let mut named = audited(&world).await;
        let mut expected: Vec<_> = model
            .flips
            .iter()
            .cloned()
            .map(|(user, role, up, event)| (user, role, up, Some(event)))
            .collect();
        named.sort();
        expected.sort();
        assert_eq!(named, expected);
    }
}

/// Random events: plays and retractions, moves and deletions, of few playlists and few owners.
fn storm(random: &mut StdRng, number: &mut u32, users: &[&str], count: usize) -> Vec<Sent> {
    let lists = ["pl_0", "pl_1", "pl_2", "pl_3", "pl_4", "pl_5"];
    let mut events = vec![];
    for _ in 0..count {
        *number += 1;
        let (n, list) = (*number, *lists.choose(random).expect("some"));
        let id = format!("e-{n}");
        let owner = users.choose(random).expect("some");
        events.push(match random.random_range(0..1000) {
            0..8 => saved(&id, list, owner),
            8..10 => deleted(&id, list),
            // Some retractions are of later plays, of another playlist, or of plays that were already retracted.
            10..300 => retraction(&id, &format!("e-{}", random.random_range(1..n + 50)), list),
            _ => play(&id, list),
        });
    }
    events
}

/// Totals are kept from the switch on, also during counting; and no change names an event that did not move its user
/// across the threshold.
#[tokio::test]
async fn a_later_rule_over_all_playlists_counts_everything() {
    let users = ["auth0|u0", "auth0|u1", "auth0|u2", "auth0|u3"];
    let far = rule("playlist_editor", 1_000_000, 1_000_000, "");
    let both = format!("{far}{}", rule("curator", 150, 150, "of = \"all_playlists\""));
    let file = RulesFile::new(&far);
    let world = world(&file, &users).await;
    let mut model = Model::new(&[("curator", true, 150, 150)]);
    let mut random = StdRng::seed_from_u64(7);
    let mut number = 0;
    let mut all: Vec<Sent> = vec![];
    let mut before: Vec<Sent> = (0..6)
        .map(|n| saved(&format!("s-{n}"), &format!("pl_{n}"), users[n % 4]))
        .collect();
    before.extend(storm(&mut random, &mut number, &users, 3_000));
    world.publish(&before).await;
    all.extend(before);
    // On, off and on again, and one kill, while events continue.
    for (round, (text, rules)) in [(&both, 2), (&far, 1), (&both, 2)].into_iter().enumerate() {
        file.write(text);
        let is_so = "SELECT jsonb_array_length(rules)::bigint FROM rules_in_force";
        for _ in 0..600 {
            let events = storm(&mut random, &mut number, &users, 50);
            world.publish(&events).await;
            all.extend(events);
            if world.number(is_so).await == Some(rules) {
                break;
            }
        }
        world
            .rules_in_force("the changed file is", |now| i64::try_from(now.len()) == Ok(rules))
            .await;
        if round == 2 {
            world.worker().kill9().await;
            world.start_worker().await;
        }
        let events = storm(&mut random, &mut number, &users, 500);
        world.publish(&events).await;
        all.extend(events);
    }
    for event in &all {
        model.take(event);
    }
    world.quiet().await;
    model.compare(&world, &users).await;
    println!("{} events, {} crossings", all.len(), model.flips.len());
    for (user, role, up, event) in audited(&world).await {
        // A change by the switch itself names none.
        let Some(event) = event else { continue };
        let flip = (user, role, up, event);
        assert!(model.flips.contains(&flip), "{flip:?} is no crossing");
    }
}
