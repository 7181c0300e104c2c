//! The faults of a soak: workers that die, freeze or stop, servers that end, connections that break, and faulty responses.
//!
//! Owns two workers, of which one at least runs, and the end of all faults.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use tokio::time::Instant;

use crate::world::races::shuffled_logs;
use crate::world::{CLIENT, Worker, World};

/// Longest time from SIGTERM to the end.
const STOPS_WITHIN: Duration = Duration::from_secs(30);
/// Delay of the tenant's records, in milliseconds.
const RECORDS: std::ops::RangeInclusive<u64> = 0..=1_500;

/// The faults of a soak.
pub(super) struct Faults {
    workers: Vec<Worker>,
    /// A frozen worker, and the time until which it is.
    frozen: Option<(Worker, Instant)>,
    seed: u64,
}

impl Faults {
    pub(super) async fn start(world: &World, seed: u64) -> Self {
        shuffled_logs(world, RECORDS, seed).await;
        Self {
            workers: world.workers(),
            frozen: None,
            seed,
        }
    }

    /// One fault; returns what it was.
    pub(super) async fn step(&mut self, world: &World, rng: &mut StdRng) -> String {
        self.thaw(Instant::now());
        match rng.random_range(0..100) {
            0..70 => respond_wrongly(world, rng),
            70..80 => self.replace(world, rng).await,
            80..90 => self.freeze(rng),
            90..94 => {
                let mut nats = world.nats.lock().await;
                nats.kill().await.expect("nats-server ends");
                nats.start_again().await.expect("nats-server starts");
                "nats-server killed".to_owned()
            }
            94..97 => {
                world.postgres_proxy().cut();
                "connections to Postgres cut".to_owned()
            }
            _ => {
                let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'rolekeeper'";
                world.run_sql(ended).await;
                "sessions of Postgres ended".to_owned()
            }
        }
    }

    /// Kills or stops a worker, and starts another one.
    async fn replace(&mut self, world: &World, rng: &mut StdRng) -> String {
        let at = rng.random_range(0..self.workers.len());
        let worker = self.workers.remove(at);
        self.frozen = self
            .frozen
            .take()
            .filter(|(frozen, _)| frozen.pid() != worker.pid());
        let killed = rng.random_bool(0.7);
        if killed {
            worker.kill9().await;
        } else {
            worker.sigcont();
            worker.sigterm(STOPS_WITHIN).await;
        }
        self.workers.push(world.start_worker().await);
        shuffled_logs(world, RECORDS, self.seed).await;
        format!(
            "worker {}: {}",
            if killed { "killed" } else { "stopped" },
            worker.name()
        )
    }

    /// Freezes a worker: mostly for a moment, sometimes until after another one has taken over.
    fn freeze(&mut self, rng: &mut StdRng) -> String {
        if self.frozen.is_some() {
            return "nothing".to_owned();
        }
        let worker = self.workers[rng.random_range(0..self.workers.len())].clone();
        let long = rng.random_ratio(1, 8);
        let seconds = if long { 28.0..40.0 } else { 0.1..3.0 };
        let time = Duration::from_secs_f64(rng.random_range(seconds));
        worker.sigstop();
        let done = format!("worker frozen: {} for {time:?}", worker.name());
        self.frozen = Some((worker, Instant::now() + time));
        done
    }

    /// Lets the frozen worker continue if its time is over.
    fn thaw(&mut self, now: Instant) {
        if let Some((worker, _)) = self.frozen.take_if(|(_, until)| *until <= now) {
            worker.sigcont();
        }
    }

    /// Ends all faults.
    pub(super) async fn end(&mut self, world: &World) {
        if let Some((worker, until)) = self.frozen.take() {
            tokio::time::sleep_until(until).await;
            worker.sigcont();
        }
        world.tenant.clear_faults();
        for worker in &self.workers {
            world
                .eventually("all workers are ready", async || worker.is_ready().await)
                .await;
        }
    }
}

/// The next read or write gets a faulty response.
fn respond_wrongly(world: &World, rng: &mut StdRng) -> String {
    let wait = |rng: &mut StdRng, most: u64| Duration::from_millis(rng.random_range(0..most));
    let endpoint = if rng.random_bool(0.6) {
        Endpoint::PatchUser
    } else {
        Endpoint::ReadUser
    };
    let fault = match rng.random_range(0..10) {
        0 => Fault::status([429, 500, 503][rng.random_range(0..3)]),
        1 => Fault::HtmlPage(502),
        2 => Fault::Delay(wait(rng, 1_500)),
        3 | 4 => Fault::DelayedAnswer(wait(rng, 1_500)),
        5 | 6 => Fault::AppliedButUnanswered,
        7 => Fault::ConnectionReset,
        8 => Fault::TornBody,
        _ => Fault::InvalidJson,
    };
    let done = format!("faulty response: {endpoint:?} {}", fault.name());
    world
        .tenant
        .fault_once(CallMatch::to(endpoint).client(CLIENT), fault);
    done
}
