//! The worker is killed behind each effect that a story has: a commit, a publication, a purge, a PATCH.
//!
//! Owns the list of effects, which is read from the source, so that a new one cannot be forgotten. A binary with debug assertions
//! ends behind the call that the environment names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::house::text::files;
use crate::world::events::{plays, retraction, saved};
use crate::world::{LOG_TOKEN, Worker, World, size};

/// Calls that have an effect outside the process. `commit` passes a point of its own, named by its caller.
const EFFECTS: [&str; 6] = [
    ".commit()",
    ".count_on_fast_path(",
    ".append(ROLE_CHANGES",
    ".0.publish(",
    ".purge_before(",
    ".patch_user(",
];
/// The point behind an effect that is no commit, and how many lines behind it.
const POINT: &str = "CrashPoint::here().pass()";
const BEHIND: usize = 4;
/// Points at which the story kills the worker; `scripts/long.sh` takes all.
const KILLS: u32 = 12;
/// Longest time until a story reaches a point, or its end.
const REACHED_WITHIN: Duration = Duration::from_secs(20);
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// All effects of the stages, as `file:line`, and those without a point.
fn effects() -> (BTreeSet<String>, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut points, mut without) = (BTreeSet::new(), vec![]);
    for (path, text) in files(&root) {
        if !(path.starts_with("flow/") || path.starts_with("store/")) {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if line.trim_start().starts_with("//") || !EFFECTS.iter().any(|effect| line.contains(effect)) {
                continue;
            }
            if line.contains(".commit()") {
                points.insert(format!("src/{path}:{}", at + 1));
                continue;
            }
            let behind = lines.iter().enumerate().skip(at).take(BEHIND);
            match behind.clone().find(|(_, line)| line.contains(POINT)) {
                Some((at, _)) => drop(points.insert(format!("src/{path}:{}", at + 1))),
                None => without.push(format!("src/{path}:{}: {}", at + 1, line.trim())),
            }
        }
    }
    (points, without)
}

#[test]
fn every_effect_has_a_point_behind_it() {
    let (points, without) = effects();
    assert!(
        without.is_empty(),
        "no point stands behind\n{}",
        without.join("\n")
    );
    assert!(points.len() > 90, "{} effects", points.len());
}

/// One user's part of the story: a role is earned and lost, and another client writes.
struct Part<'w> {
    world: &'w World,
    user: String,
    playlist: String,
    name: String,
}

impl Part<'_> {
    fn new(world: &World, number: usize) -> Part<'_> {
        Part {
            world,
            user: format!("auth0|u{number}"),
            playlist: format!("pl_{number}"),
            name: format!("n{number}"),
        }
    }

    /// Plays it, until it ends or the worker does.
    async fn play(&self, worker: &Worker) {
        let Self {
            world,
            user,
            playlist,
            name,
        } = self;
        world.seed_user(user, &["mentor"]);
        world
            .publish(&[saved(&format!("{name}-s"), playlist, user)])
            .await;
        world.publish(&plays(name, playlist, 0..99)).await;
        world.publish(&plays(name, playlist, 99..101)).await;
        self.until(worker, async || self.holds()).await;
        let record = json!({"log_id": format!("l{name}"), "data": {"type": "fp", "log_id": format!("l{name}"), "user_id": user}});
        if worker.ended().is_none() {
            let posted = worker.post_logs(LOG_TOKEN, record.to_string());
            let _ = tokio::time::timeout(REACHED_WITHIN, posted).await;
        }
        let takes =
            [0, 1].map(|play| retraction(&format!("{name}-r{play}"), &format!("{name}-{play}"), playlist));
        world.publish(&takes).await;
        self.until(worker, async || !self.holds() && world.is_quiet().await)
            .await;
    }

    fn holds(&self) -> bool {
        self.world
            .roles(&self.user)
            .iter()
            .any(|role| role == "playlist_editor")
    }

    async fn until(&self, worker: &Worker, done: impl AsyncFn() -> bool) {
        let over = async || worker.ended().is_some() || done().await;
        let begun = std::time::Instant::now();
        while begun.elapsed() < REACHED_WITHIN && !over().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_kill_behind_any_effect_loses_nothing_and_doubles_nothing() {
    let world = World::builder()
        .workers(0)
        .env("SWEEP_INTERVAL_S", 1)
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    let list = world.file("crash_points");
    let path = list.to_string_lossy().into_owned();
    let worker = world
        .start_worker_with(&[("ROLEKEEPER_CRASH_POINTS", &path)])
        .await;
    Part::new(&world, 0).play(&worker).await;
    world.settled_within(SETTLED_WITHIN).await;
    worker.kill9().await;
    let passed = fs::read_to_string(&list).expect("a binary with debug assertions");
    let (points, _) = effects();
    let mut passed: Vec<&str> = passed.lines().collect();
    passed.sort_unstable();
    let unknown: Vec<_> = passed.iter().filter(|point| !points.contains(**point)).collect();
    assert!(
        unknown.is_empty(),
        "points that the source does not show: {unknown:?}"
    );
    let most = size(KILLS, u32::MAX) as usize;
    let apart = passed.len().div_ceil(most).max(1);
    let first = rand::random_range(0..apart);
    let chosen: Vec<&str> = passed.iter().skip(first).step_by(apart).copied().collect();
    println!(
        "{} effects, {} in the story, killed behind {chosen:?}",
        points.len(),
        passed.len()
    );
    let mut missed = vec![];
    for (number, point) in chosen.iter().enumerate() {
        let worker = world.spawn_worker_with(&[("ROLEKEEPER_CRASH_AT", point)]);
        Part::new(&world, number + 1).play(&worker).await;
        match worker.ended() {
            Some(_) => drop(worker.wait(Duration::ZERO).await),
            None => {
                missed.push(point);
                worker.kill9().await;
            }
        }
        // Time passes: the lease of the killed worker's attempt ends.
        let ends = "UPDATE work_queue SET lease_until = now() WHERE lease IS NOT NULL";
        sqlx::raw_sql(ends)
            .execute(&world.db)
            .await
            .expect("Postgres responds");
        let worker = world.start_worker().await;
        world.settled_within(SETTLED_WITHIN).await;
        worker.kill9().await;
    }
    println!("not passed a second time: {missed:?}");
    assert!(missed.len() * 2 < chosen.len(), "{missed:?}");
}
