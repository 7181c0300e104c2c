//! F16: another client adds or removes roles between our read and our write: with a record that Auth0 confirms: no
//! role of another client is lost, none is revived, and the race is counted; without a record or a scope: reported,
//! and nothing is written. Here both clients write the same users at random for seconds.
//!
//! The other client keeps a list of its intended changes. Must never depend on one order of the two clients' writes.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper_sandbox::tenant::{Actor, Endpoint, TenantOptions};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::world::events::{play, plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::races::{OTHER, Other, races, shuffled_logs};
use crate::world::{CLIENT, World, size};

/// Maximum number of further runs until both kinds of races have occurred.
const MORE_RUNS: u64 = 40;
/// Seeds that `scripts/long.sh` adds.
const MORE_SEEDS: u32 = 20;

/// The history of one user, and the expected end.
struct Story {
    user: String,
    turns: usize,
    must_hold: BTreeSet<String>,
}

/// The other client works on one user until the end.
async fn meddle(other: Other, user: String, mut rng: StdRng, until: Instant) -> Story {
    let mut must_hold = BTreeSet::from(["mentor".to_owned()]);
    let mut turns = 0;
    while Instant::now() < until {
        let (role, given) = other.turn_over(&user, &mut rng).await;
        turns += 1;
        if given {
            must_hold.insert(role.to_owned());
        } else {
            must_hold.remove(role);
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..60))).await;
    }
    Story {
        user,
        turns,
        must_hold,
    }
}

/// Plays cross the threshold and are retracted, for each of the users, until the end.
async fn cross(world: &World, users: usize, mut rng: StdRng, until: Instant) {
    let mut round = 0;
    while Instant::now() < until {
        round += 1;
        for user in 0..users {
            let (playlist, name) = (format!("pl_{user}"), format!("x-{user}-{round}"));
            if round % 2 == 1 {
                world.publish(&[play(&name, &playlist)]).await;
            } else {
                let before = format!("x-{user}-{}", round - 1);
                world.publish(&[retraction(&name, &before, &playlist)]).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..120))).await;
    }
}

/// One seeded run; returns how many races ended as merged, with nothing lost, and unresolved.
async fn run(seed: u64, delay: std::ops::RangeInclusive<u64>) -> [f64; 3] {
    const USERS: usize = 6;
    let mut rng = StdRng::seed_from_u64(seed);
    let slowest = rng.random_range(4..25);
    let tenant = TenantOptions {
        latency: Duration::from_millis(2)..=Duration::from_millis(slowest),
        seed,
        ..TenantOptions::default()
    };
    let world = World::builder().tenant(tenant).start().await;
    shuffled_logs(&world, delay, seed).await;
    let other = Other::start(&world).await;
    let users: Vec<String> = (0..USERS).map(|user| format!("auth0|{user}")).collect();
    for (number, user) in users.iter().enumerate() {
        world.seed_user(user, &["mentor"]);
        let playlist = format!("pl_{number}");
        world
            .publish(&[saved(&format!("s-{number}"), &playlist, user)])
            .await;
        world
            .publish(&plays(&format!("p-{number}"), &playlist, 0..99))
            .await;
    }
    let until = Instant::now() + Duration::from_millis(2_500);
    let mut meddling = JoinSet::new();
    for user in &users {
        let rng = StdRng::seed_from_u64(rng.random());
        meddling.spawn(meddle(other.clone(), user.clone(), rng, until));
    }
    cross(&world, USERS, rng, until).await;
    let stories = meddling.join_all().await;
    world.quiet().await;
    let wrong: Vec<String> = stories.iter().filter_map(|story| wrong(&world, story)).collect();
    assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
    for open in [
        "role_changes WHERE outcome IS NULL",
        "races WHERE outcome IS NULL",
        "profile_writes WHERE completed_at IS NULL",
    ] {
        let open: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {open}")))
            .fetch_one(&world.db)
            .await
            .expect("Postgres responds");
        assert_eq!(open, 0, "seed {seed}");
    }
    let races = [
        races(&world, "merged").await,
        races(&world, "nothing_lost").await,
        races(&world, "unresolved").await,
    ];
    let turns: usize = stories.iter().map(|story| story.turns).sum();
    let ours = world.tenant.with_calls(|calls| {
        let ours = calls
            .iter()
            .filter(|call| call.client.as_deref() == Some(CLIENT) && call.applied);
        ours.filter(|call| call.endpoint == Endpoint::PatchUser).count()
    });
    eprintln!(
        "seed {seed}: {turns} writes of the other client, {ours} of ours; races merged, nothing lost, unresolved: {races:?}"
    );
    races
}

/// The difference between a user's roles and the intended ones: the other client's changes, and the role if the plays
/// earn it.
fn wrong(world: &World, story: &Story) -> Option<String> {
    let Story {
        user,
        turns,
        must_hold,
    } = story;
    let history = world.tenant.history(user);
    let landed = history
        .iter()
        .filter(|version| version.by == Actor::Client(OTHER.to_owned()))
        .count();
    assert_eq!(
        landed, *turns,
        "each turn of the other client is in the tenant's history"
    );
    let now = world.roles(user);
    let (owned, others): (Vec<&String>, Vec<&String>) = now.iter().partition(|role| *role == ROLE);
    let others_set: BTreeSet<String> = others.iter().map(|role| (*role).clone()).collect();
    let earned = world.oracle().expected().earns(&[user.to_owned()]);
    let right =
        others_set == *must_hold && others.len() == must_hold.len() && owned.len() == usize::from(earned);
    (!right).then(|| {
        let past = history[history.len().saturating_sub(14)..].iter().map(|version| {
            format!(
                "  {} {:?} {}",
                version.at,
                version.by,
                version.roles().unwrap_or(&Value::Null)
            )
        });
        let past: Vec<String> = past.collect();
        format!(
            "{user} holds {now:?}; others meant {must_hold:?}, earns the role: {earned}\n{}",
            past.join("\n")
        )
    })
}

async fn runs(seeds: std::ops::Range<u64>, delay: std::ops::RangeInclusive<u64>) {
    let mut all = [0.0; 3];
    let end = seeds.end + u64::from(size(0, MORE_SEEDS));
    for seed in seeds.start..end + MORE_RUNS {
        // Our write rarely overwrites another, by chance: if none did, further runs follow.
        if seed >= end && all[0] > 0.0 && all[1] > 0.0 {
            break;
        }
        for (sum, count) in all.iter_mut().zip(run(seed, delay.clone()).await) {
            *sum += count;
        }
    }
    let [merged, nothing_lost, unresolved] = all;
    assert!(
        merged > 0.0 && nothing_lost > 0.0,
        "the runs had races of both kinds: {all:?}"
    );
    assert!(
        unresolved < f64::EPSILON,
        "all records came, so all is resolved: {all:?}"
    );
}

#[tokio::test]
async fn f16_no_role_of_others_is_lost_or_revived_by_fast_records() {
    runs(0..5, 0..=200).await;
}

#[tokio::test]
async fn f16_no_role_of_others_is_lost_or_revived_by_late_records() {
    runs(100..105, 100..=2_000).await;
}
