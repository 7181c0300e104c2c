//! Another client writes the same roles at the same time.
//!
//! The other client reads, waits and writes over real HTTP, as any client of the tenant does; it overwrites our write
//! in between as we overwrite its write. It keeps a list of its intended changes.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper_sandbox::tenant::{Actor, CallMatch, Endpoint, Fault, TenantOptions};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::world::events::{play, plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::races::{OTHER, Other, races, shuffled_logs};
use crate::world::{ANN, CLIENT, LOG_TOKEN, World, size};

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

/// Ann earns the role, and between our read and our write the other client makes her roles `theirs`.
async fn race(world: &World, theirs: &[&str]) -> Other {
    let other = Other::start(world).await;
    world.seed_user(ANN, &["mentor", "beta"]);
    let late = CallMatch::to(Endpoint::PatchUser).client(CLIENT);
    world
        .tenant
        .fault_once(late, Fault::Delay(Duration::from_millis(500)));
    world.earn(ANN, "pl_1").await;
    world
        .eventually("our write is in flight", async || {
            world.tenant.faults_waiting() == 0
        })
        .await;
    let theirs: Vec<String> = theirs.iter().map(ToString::to_string).collect();
    other.write(ANN, &theirs).await;
    other
}

#[tokio::test]
async fn what_another_client_wrote_between_our_read_and_our_write_is_brought_back() {
    let world = World::start().await;
    // Records arrive after all writes.
    shuffled_logs(&world, 1_000..=1_500, 1).await;
    race(&world, &["beta", "vip"]).await;
    world
        .eventually("our write overwrites theirs", async || {
            world.roles(ANN) == ["mentor", "beta", ROLE]
        })
        .await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["vip", "beta", ROLE]);
    let written = ("granted".to_owned(), Some("written".to_owned()));
    assert_eq!(
        world.audit_of(ANN).await,
        [written],
        "the mending is no change of an owned role"
    );
    assert!((races(&world, "merged").await - 1.0).abs() < f64::EPSILON);
    let rows = world
        .rows("SELECT base, ours, theirs, merged, outcome FROM races")
        .await;
    let race = json!({
        "base": ["mentor", "beta"], "ours": ["mentor", "beta", ROLE], "theirs": ["beta", "vip"],
        "merged": ["vip", "beta", ROLE], "outcome": "merged",
    });
    assert_eq!(rows, [race]);
    let patches = world
        .calls_of(ANN)
        .iter()
        .filter(|call| call.endpoint == Endpoint::PatchUser)
        .count();
    assert_eq!(patches, 2, "the grant and the mending, and no echo is followed");
}

#[tokio::test]
async fn a_race_that_no_record_explains_is_left_to_a_person() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    shuffled_logs(&world, 1_000..=1_500, 1).await;
    race(&world, &["beta", "vip"]).await;
    world
        .eventually("our write overwrites theirs", async || {
            world.roles(ANN) == ["mentor", "beta", ROLE]
        })
        .await;
    let unrecorded = json!({"app_metadata": {"roles": ["mentor", ROLE, "staff"]}});
    world.tenant.edit_unrecorded(ANN, unrecorded).expect("an edit");
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE, "staff"]);
    assert_eq!(
        world
            .number("SELECT count(*) FROM races WHERE outcome IS NULL")
            .await,
        Some(1)
    );
    // Ten minutes later no record has arrived.
    let aged = "UPDATE races SET found_at = found_at - interval '10 minutes'";
    sqlx::query(aged)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world
        .eventually("it is given up", async || races(&world, "unresolved").await > 0.0)
        .await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE, "staff"], "not touched");
    let told = world.worker().messages();
    assert!(
        told.iter().any(|line| line.contains("correct it by hand")),
        "{told:?}"
    );
}

#[tokio::test]
async fn an_owned_role_that_a_stale_write_brings_back_goes_again_and_one_given_by_hand_stays() {
    let world = World::start().await;
    shuffled_logs(&world, 100..=300, 1).await;
    let other = Other::start(&world).await;
    for (user, list) in [(ANN, "pl_1"), ("auth0|bob", "pl_2")] {
        world.seed_user(user, &["mentor"]);
        world.earn(user, list).await;
    }
    world.quiet().await;
    let stale = other.read(ANN).await;
    for list in ["pl_1", "pl_2"] {
        let (id, of) = (format!("{list}-taken"), format!("{list}-7"));
        world.publish(&[retraction(&id, &of, list)]).await;
    }
    world
        .eventually("both lose the role", async || {
            world.roles(ANN) == ["mentor"] && world.roles("auth0|bob") == ["mentor"]
        })
        .await;
    other.write(ANN, &[stale, vec!["vip".to_owned()]].concat()).await;
    let by_hand = json!({"app_metadata": {"roles": ["mentor", ROLE]}});
    world
        .tenant
        .dashboard_edit("auth0|bob", by_hand)
        .expect("an edit");
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor", "vip"]);
    assert_eq!(world.roles("auth0|bob"), ["mentor", ROLE]);
}

#[tokio::test]
async fn a_role_taken_by_hand_is_given_back_and_what_else_the_person_did_stays() {
    let world = World::start().await;
    shuffled_logs(&world, 100..=300, 1).await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.quiet().await;
    let edit = json!({"app_metadata": {"roles": ["staff"]}});
    world.tenant.dashboard_edit(ANN, edit).expect("an edit");
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["staff", ROLE]);
    assert_eq!(world.audit_of(ANN).await.len(), 2);
}

#[tokio::test]
async fn a_write_that_was_not_applied_is_found_when_records_of_later_ones_come() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    shuffled_logs(&world, 0..=100, 1).await;
    for user in [ANN, "auth0|bob"] {
        world.seed_user(user, &["mentor"]);
    }
    let lie = CallMatch::to(Endpoint::PatchUser).user(ANN);
    world.tenant.fault_once(lie, Fault::AnsweredButNotApplied);
    world.earn(ANN, "pl_1").await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor"], "taken for done");
    world.earn("auth0|bob", "pl_2").await;
    world
        .eventually("a later write is known from its record", async || {
            world
                .number("SELECT count(*) FROM profile_writes WHERE followed_up_at IS NOT NULL")
                .await
                == Some(1)
        })
        .await;
    // An hour later.
    let aged = "UPDATE profile_writes SET attempted_at = attempted_at - interval '1 hour',
                followed_up_at = followed_up_at - interval '1 hour'";
    sqlx::query(aged)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world
        .eventually("the role is there", async || world.roles(ANN) == ["mentor", ROLE])
        .await;
}

#[tokio::test]
async fn an_import_has_every_holder_looked_at_and_a_kill_only_pauses_that() {
    const HOLDERS: usize = 40;
    let slow = TenantOptions {
        latency: Duration::from_millis(40)..=Duration::from_millis(60),
        ..TenantOptions::default()
    };
    let world = World::builder()
        .tenant(slow)
        .env("SWEEP_INTERVAL_S", 1)
        .env("AUTH0_PLAN", "2:20")
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    shuffled_logs(&world, 0..=50, 1).await;
    for number in 0..HOLDERS {
        let user = format!("auth0|{number}");
        world.seed_user(&user, &[]);
        world.earn(&user, &format!("pl_{number}")).await;
    }
    world.quiet().await;
    let reads = world.calls_to(Endpoint::ReadUser);
    let import = json!({"log_id": "import-1", "data": {"type": "sui", "date": "2026-11-24T00:00:00.000Z"}});
    assert_eq!(
        world.worker().post_logs(LOG_TOKEN, import.to_string()).await,
        Some(200)
    );
    world
        .eventually("some had an attempt", async || {
            world.calls_to(Endpoint::ReadUser) > reads + 5
        })
        .await;
    world.worker().kill9().await;
    world.start_worker().await;
    let stale = "SELECT count(*) FROM assignments WHERE verified_at <= (SELECT told_at FROM verify_anew)";
    world
        .eventually("all had an attempt", async || {
            world.number(stale).await == Some(0)
        })
        .await;
    let looks = world.calls_to(Endpoint::ReadUser) - reads;
    // The users in flight at the kill are read again, and no others.
    assert!((HOLDERS..=HOLDERS + 16).contains(&looks), "{looks}");
}

/// One seeded run of F16; returns how many races ended as merged, with nothing lost, and unresolved.
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
    let earned = world.oracle().expected().earns(user);
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
async fn no_role_of_others_is_lost_or_revived_when_records_come_fast() {
    runs(0..5, 0..=200).await;
}

#[tokio::test]
async fn no_role_of_others_is_lost_or_revived_when_records_come_late() {
    runs(100..105, 100..=2_000).await;
}
