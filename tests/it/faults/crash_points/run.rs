//! A worker dies at each crash point of a story; the next one continues.
//!
//! Owns the orders to the workers, and the comparison after each death. A story may wait for nothing that a dead worker would
//! have to do: its waits end when the point is reached.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rolekeeper_sandbox::servers::folder::Folder;

use super::table;
use crate::world::{Builder, Worker, World, poll, size, text};

/// Longest wait of a story for its next step, and for the point.
const STEP_WITHIN: Duration = Duration::from_secs(20);
/// Longest time after a death until all is right again.
const RIGHT_WITHIN: Duration = Duration::from_mins(1);
/// Shortest time for which a worker is frozen: longer than a write may follow its read.
const FROZEN: Duration = Duration::from_millis(2_500);
/// Longest time to the end of a process that was killed, or is stopped.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// The file with the order for the processes of a story.
pub(super) struct Orders(Folder);

impl Orders {
    pub(super) fn new() -> Self {
        Self(Folder::new("crash-point").expect("a temporary folder"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("order")
    }

    /// The value of `CRASH_POINT`.
    pub(super) fn setting(&self) -> String {
        self.file().display().to_string()
    }

    /// Orders the next process that passes the point to act there.
    pub(super) fn give(&self, point: &str, act: &str) {
        fs::write(self.file(), format!("{point} {act}")).expect("a temporary file");
    }

    /// Whether a process has reached the point.
    pub(super) fn done(&self) -> bool {
        !self.file().exists()
    }

    /// Takes an order back that no process has reached.
    pub(super) fn withdraw(&self) {
        // A process may have reached the point a moment ago.
        let _ = fs::remove_file(self.file());
    }
}

/// The place of a story.
pub(super) struct Place {
    pub(super) world: World,
    orders: Orders,
    /// The tenant's log goes to the webhook of the newest worker.
    logs: bool,
}

impl Place {
    pub(super) async fn start(builder: Builder, logs: bool) -> Self {
        let orders = Orders::new();
        let builder = builder.workers(0).env("CRASH_POINT", orders.setting());
        let builder = builder.env_by_default("AUTH0_TIMEOUT_S", "1");
        let world = builder.env_by_default("SWEEP_INTERVAL_S", "1").start().await;
        Self { world, orders, logs }
    }

    fn arm(&self, point: &str, act: &str) {
        self.orders.give(point, act);
        for worker in self.world.workers() {
            worker.may_end();
        }
    }

    /// Whether a process has reached the point.
    pub(super) fn reached(&self) -> bool {
        self.orders.done()
    }

    /// Starts a worker, which may end at the point.
    pub(super) fn spawn(&self) -> Worker {
        let worker = self.world.spawn_worker_with(&[]);
        worker.may_end();
        worker
    }

    /// Waits for the condition, or until the point is reached. After a while the story goes on without it.
    pub(super) async fn until(&self, mut condition: impl AsyncFnMut() -> bool) {
        let met = async || (self.reached() || condition().await).then_some(());
        poll(STEP_WITHIN, met).await;
    }

    /// Starts a worker, waits until it is ready, and ends the leases of the dead one: it can use them no more.
    pub(super) async fn next_worker(&self) {
        self.world.start_worker().await;
        if self.logs {
            self.world.connect_log_stream().await;
        }
        self.end_leases().await;
    }

    pub(super) async fn end_leases(&self) {
        let ended =
            "UPDATE work_queue SET lease_until = now() - interval '1 second' WHERE lease_until > now()";
        self.world.run_sql(ended).await;
    }

    /// Waits for the end of the worker that was killed last.
    pub(super) async fn dead(&self) {
        self.world.worker().wait(ENDS_WITHIN).await;
    }

    /// Waits until nothing is left to do and all equals the oracle's state; returns the differences.
    pub(super) async fn wrong(&self) -> Vec<String> {
        let mut wrong = vec!["work is left".to_owned()];
        let right = poll(RIGHT_WITHIN, async || {
            self.world.check_workers();
            if self.world.is_quiet().await {
                wrong = self.world.differences().await;
            }
            wrong.is_empty().then_some(())
        });
        right.await;
        wrong
    }

    /// Whether a process reaches the point, with this order, while `act` goes on or soon after.
    pub(super) async fn passes(&self, point: &str, order: &str, act: impl AsyncFnOnce()) -> bool {
        self.arm(point, order);
        act().await;
        self.until(async || false).await;
        let reached = self.reached();
        if !reached {
            self.orders.withdraw();
        }
        reached
    }

    /// Kills a worker at the point while `act` goes on; returns what was wrong then.
    pub(super) async fn kill(&self, point: &str, act: impl AsyncFnOnce()) -> Vec<String> {
        if !self.passes(point, "kill", act).await {
            return vec!["not reached".to_owned()];
        }
        self.dead().await;
        self.next_worker().await;
        self.wrong().await
    }

    /// Freezes a worker at the point while `act` goes on. Another one takes over and does what is left; then the first continues.
    /// Returns what was wrong then.
    async fn freeze(&self, point: &str, act: impl AsyncFnOnce()) -> Vec<String> {
        if !self.passes(point, "stop", act).await {
            return vec!["not reached".to_owned()];
        }
        let (frozen, since) = (self.world.worker(), Instant::now());
        // As Postgres does with the sessions of a silent client after 25 s.
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'rolekeeper'";
        self.world.run_sql(ended).await;
        self.next_worker().await;
        let over = async || (since.elapsed() > FROZEN && self.world.is_quiet().await).then_some(());
        poll(RIGHT_WITHIN, over).await;
        frozen.sigcont();
        let awake = async || (frozen.ended().is_some() || frozen.is_ready().await).then_some(());
        poll(RIGHT_WITHIN, awake).await;
        let wrong = self.wrong().await;
        frozen.sigterm(ENDS_WITHIN).await;
        wrong
    }
}

/// Kills a worker at each point of the story, in one world; a long run also freezes one at each.
pub(super) async fn kill_each(story: &str, builder: Builder, logs: bool, act: impl AsyncFn(&Place, u32)) {
    let place = Place::start(builder, logs).await;
    place.next_worker().await;
    let mut faults = Vec::new();
    let points = table::points_of(story);
    for (n, point) in (0..).zip(&points) {
        let wrong = place.kill(point, async || act(&place, n).await).await;
        faults.extend(wrong.into_iter().map(|wrong| format!("{point}: {wrong}")));
    }
    let frozen = if size(0, 1) == 0 { &[] } else { &points[..] };
    for (n, point) in (1_000..).zip(frozen) {
        let wrong = place.freeze(point, async || act(&place, n).await).await;
        faults.extend(wrong.into_iter().map(|wrong| format!("{point}, frozen: {wrong}")));
    }
    assert!(faults.is_empty(), "{story}:\n{}", faults.join("\n"));
}

/// Kills the first worker of a new database at the point.
pub(super) async fn kill_once(point: &str, builder: Builder) {
    let place = Place::start(builder, false).await;
    let wrong = place.kill(point, async || drop(place.spawn())).await;
    assert!(wrong.is_empty(), "{point}:\n{}", wrong.join("\n"));
}

/// Kills a command at the point.
pub(super) async fn killed(place: &Place, point: &str, command: &[&str]) -> Result<(), String> {
    place.arm(point, "kill");
    let died = place.world.command(command).await;
    if !place.reached() {
        place.orders.withdraw();
        return Err(format!("{point} was not reached: {}", text(&died)));
    }
    match died.status.code() {
        None => Ok(()),
        Some(_) => Err(format!("{point}: a worker reached it in place of the command")),
    }
}

/// Kills a command at the point, and runs it again, which may find nothing left to do; returns what was wrong then.
pub(super) async fn command_dies(place: &Place, point: &str, command: &[&str]) -> Vec<String> {
    let mut wrong: Vec<String> = killed(place, point, command).await.err().into_iter().collect();
    let again = place.world.command(command).await;
    if again.status.code().is_none() {
        wrong.push(format!("the second run: {}", text(&again)));
    }
    wrong.extend(place.wrong().await);
    wrong
}
