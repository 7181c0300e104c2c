//! Random traffic and faults for as long as `scripts/soak.sh` says: after each round everything equals the oracle.
//!
//! Owns the order of the steps, which follows from the seed. A failure leaves a file with all steps and the tenant's histories.

mod faults;
mod record;
mod traffic;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use self::faults::Faults;
use self::record::Record;
use self::traffic::Traffic;
use crate::world::{World, poll};

/// Steps between two comparisons.
const STEPS: u32 = 100;
/// Longest pause between two steps.
const PAUSE_MS: u64 = 80;
/// Longest time from the last step until all is right: a killed worker's lease must end, and all records arrive.
const RIGHT_WITHIN: Duration = Duration::from_mins(3);

/// The number in a setting of `scripts/soak.sh`.
fn number(setting: &str) -> Option<u64> {
    std::env::var(setting).ok()?.parse().ok()
}

struct Soak {
    world: World,
    traffic: Traffic,
    faults: Faults,
    record: Record,
    rng: StdRng,
}

impl Soak {
    async fn start(seed: u64) -> Self {
        let world = World::builder()
            .workers(2)
            .postgres_proxy()
            .env("SWEEP_INTERVAL_S", 1)
            .env("AUTH0_TIMEOUT_S", 1)
            .start()
            .await;
        let traffic = Traffic::start(&world).await;
        let faults = Faults::start(&world, seed).await;
        Self {
            world,
            traffic,
            faults,
            record: Record::new(seed),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Some steps of traffic with faults among them.
    async fn steps(&mut self) {
        for _ in 0..STEPS {
            let done = if self.rng.random_ratio(1, 6) {
                self.faults.step(&self.world, &mut self.rng).await
            } else {
                self.traffic.step(&self.world, &mut self.rng).await
            };
            self.record.step(&done);
            let pause = self.rng.random_range(0..PAUSE_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Ends the faults and waits until nothing is left to do and all equals the oracle's state; returns the differences.
    async fn wrong(&mut self) -> Vec<String> {
        self.faults.end(&self.world).await;
        let mut wrong = vec!["work is left".to_owned()];
        let right = poll(RIGHT_WITHIN, async || {
            self.world.check_workers();
            if self.world.is_quiet().await {
                wrong = self.world.differences_beside_roles().await;
                wrong.extend(self.traffic.wrong(&self.world).await);
            }
            wrong.is_empty().then_some(())
        });
        right.await;
        wrong
    }
}

#[tokio::test]
async fn random_faults_for_a_while_leave_all_as_the_oracle_has_it() {
    let seed = number("SOAK_SEED").unwrap_or(1);
    let until = Instant::now() + Duration::from_mins(number("SOAK_MINUTES").unwrap_or(0));
    let mut soak = Soak::start(seed).await;
    let mut rounds = 0;
    loop {
        soak.steps().await;
        rounds += 1;
        let wrong = soak.wrong().await;
        soak.record.round(rounds, &wrong);
        if !wrong.is_empty() {
            let kept = soak.record.keep(&soak.world, &wrong);
            panic!("seed {seed}, round {rounds}, {kept}:\n{}", wrong.join("\n"));
        }
        if Instant::now() >= until {
            break;
        }
    }
    let reported = soak.traffic.reported();
    println!(
        "seed {seed}: {rounds} rounds; {reported} lost writes reported; {}",
        soak.record
    );
}
