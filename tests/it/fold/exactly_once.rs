//! Each event counts exactly once, for any interruption of the fold.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper_sandbox::tenant::TenantOptions;

use crate::world::events::{Sent, deleted, play, plays, poison, retraction, saved};
use crate::world::proxy::Lose;
use crate::world::{APP_EVENTS, World};

const PLAYS: u32 = 200_000;
const PLAYLISTS: u32 = 2_000;
const USERS: u32 = 300;
const KILLS: u32 = 30;
/// A repeat follows its original after at most this many messages, well inside the duplicate window.
const REPEATED_WITHIN: usize = 5_000;

/// `SEED` from the environment, or a new one; printed, so that a failure can be repeated.
fn seeded() -> StdRng {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn owner(rng: &mut StdRng) -> String {
    format!("auth0|user-{}", rng.random_range(0..USERS))
}

/// Plays around the threshold for each playlist, and all other events between them.
fn traffic(rng: &mut StdRng) -> Vec<Sent> {
    let playlist = |n: u32| format!("pl_{n}");
    let mut events = Vec::with_capacity(230_000);
    for n in 0..PLAYLISTS / 2 {
        events.push(saved(&format!("first-{n}"), &playlist(n), &owner(rng)));
    }
    for n in 0..PLAYS {
        events.push(play(
            &format!("play-{n}"),
            &playlist(rng.random_range(0..PLAYLISTS)),
        ));
        let (which, any) = (rng.random_range(0..1_000), rng.random_range(0..PLAYLISTS));
        // A retraction of a past play, of a later one, or of one that never comes; sometimes the same one again.
        let of = format!("play-{}", rng.random_range(0..PLAYS + 1_000));
        events.extend(match which {
            0..20 => Some(retraction(&format!("retraction-{n}"), &of, &playlist(any))),
            20..22 => Some(retraction(
                &format!("again-{n}"),
                &format!("play-{}", n % 50),
                &playlist(any),
            )),
            22..32 => Some(saved(&format!("saved-{n}"), &playlist(any), &owner(rng))),
            32..33 => Some(deleted(&format!("deleted-{n}"), &playlist(any))),
            33..34 => Some(poison(
                &format!("poison-{n}"),
                &playlist(any),
                format!("{{{n}"),
                "not_json",
            )),
            34..35 => Some(
                play(&format!("type-{n}"), &playlist(any))
                    .with("type", "skip")
                    .poisoned("unknown_type"),
            ),
            _ => None,
        });
    }
    events
}

/// Each event twice, the second time somewhat later, between the others.
fn each_twice(rng: &mut StdRng, events: Vec<Sent>) -> Vec<Sent> {
    let repeats = events.clone().into_iter().enumerate();
    let repeats = repeats.map(|(at, event)| (at + rng.random_range(1..REPEATED_WITHIN), 1, event));
    let mut all: Vec<(usize, u8, Sent)> = repeats.collect();
    all.extend(events.into_iter().enumerate().map(|(at, event)| (at, 0, event)));
    all.sort_by_key(|(at, turn, _)| (*at, *turn));
    all.into_iter().map(|(_, _, event)| event).collect()
}

/// Starts workers and kills each at a random moment; returns the cursor at each kill.
async fn kills(world: &World, rng: &mut StdRng, shares: &tokio::sync::Semaphore) -> BTreeSet<Option<i64>> {
    let cursor = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
    let mut folded_at_kill = BTreeSet::new();
    for _ in 0..KILLS {
        let worker = world.spawn_worker_with(&[]);
        shares.add_permits(1);
        // Not a wait for a condition: the moment of the kill is random.
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..1_600))).await;
        worker.kill9().await;
        folded_at_kill.insert(world.number(cursor).await);
    }
    folded_at_kill
}

/// F3: SIGKILL at any moment of the fold: before, in and after the transaction: promises 1 and 2. Thirty kills at
/// random moments, of the start, the fold and the reconcile alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f03_thirty_kills_lose_and_double_nothing() {
    let mut rng = seeded();
    // A killed attempt is repeated when its lease ends: 18 s at this timeout.
    let world = World::builder()
        .env("AUTH0_TIMEOUT_S", 1)
        .env("SWEEP_INTERVAL_S", 5)
        .env("FOLD_BATCH", 100);
    // Responses are slow enough that kills meet in-flight writes.
    let tenant = TenantOptions {
        latency: Duration::ZERO..=Duration::from_millis(30),
        ..TenantOptions::default()
    };
    let world = world.tenant(tenant).workers(0).start().await;
    for n in 0..USERS {
        world.seed_user(&format!("auth0|user-{n}"), &["mentor"]);
    }
    let once = traffic(&mut rng);
    let events = each_twice(&mut rng, once);
    // A share of the events for each worker, so that a fast machine has not folded all before the first kills.
    let shares = tokio::sync::Semaphore::new(0);
    let publishing = async {
        for share in events.chunks(events.len().div_ceil(KILLS as usize)) {
            shares.acquire().await.expect("it is never closed").forget();
            world.publish(share).await;
        }
    };
    let ((), folded_at_kill) = tokio::join!(publishing, kills(&world, &mut rng, &shares));
    // Otherwise the kills would not hit the middle of the fold.
    assert!(folded_at_kill.len() > 10, "the kills hit at {folded_at_kill:?}");
    world.start_worker().await;
    world.settled_within(Duration::from_secs(90)).await;
}

/// F4: COMMIT sent, connection lost before the response: no event counts twice, none is lost. The COMMIT itself is
/// lost too, in every other round.
#[tokio::test]
async fn f04_a_lost_commit_or_a_lost_answer_doubles_and_loses_nothing() {
    let world = World::builder()
        .postgres_proxy()
        .env("ONLY", "http,fold")
        .start()
        .await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    for round in 0..8u32 {
        let lose = if round % 2 == 0 {
            Lose::Answer
        } else {
            Lose::Commit
        };
        world.postgres_proxy().lose_next_commit(lose);
        world
            .publish(&plays("a", "pl_1", round * 15..round * 15 + 15))
            .await;
        world
            .publish(&[poison(&format!("p{round}"), "pl_1", "{", "not_json")])
            .await;
        world
            .eventually("the commit is lost", async || {
                world.postgres_proxy().has_lost_it()
            })
            .await;
    }
    assert_eq!(world.postgres_proxy().answers_lost(), 4);
    world.start_worker_with(&[("ONLY", "reconcile")]).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
}

/// F5: two to eight workers, the active one frozen past every timeout, then continued: its late commit and its late
/// record are refused, its late write is seen and mended; promises 1 and 3. Here another fold, which this one does
/// not know of, has committed the same events.
#[tokio::test]
async fn f05_a_fold_whose_cursor_has_moved_counts_nothing() {
    let world = World::builder().env("ONLY", "http,fold").start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..50)).await;
    world.settled().await;
    world.worker().sigstop();
    world.publish(&plays("a", "pl_1", 50..90)).await;
    let mut stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    let last = stream.info().await.expect("its state").state.last_sequence;
    let last = stream.get_raw_message(last).await.expect("the last event");
    let folded = sqlx::query(
        "WITH moved AS (UPDATE stream_cursors SET last_seq = $1, last_stored_ns = $2, last_hash = NULL WHERE stream = 'APP_EVENTS')
         UPDATE playlists SET plays = plays + 40 WHERE playlist_id = 'pl_1'",
    );
    let folded = folded
        .bind(i64::try_from(last.sequence).expect("a sequence"))
        .bind(i64::try_from(last.time.unix_timestamp_nanos()).expect("a time"));
    folded.execute(&world.db).await.expect("Postgres responds");
    world.worker().sigcont();
    world.publish(&plays("a", "pl_1", 90..95)).await;
    world.settled().await;
}
