//! Large tenants: many users who cross a threshold at once.
//!
//! Owns one drain at a stated rate and latency, with its costs, and the load that the stand-in tenant bears alone. The CPU of
//! the stand-in, of nats-server and of the bench is not counted.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rolekeeper_sandbox::servers::Postgres;
use rolekeeper_sandbox::tenant::{Rate, Tenant};
use rolekeeper_sandbox::traffic::management::Management;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::counts::Owner;
use crate::log::Calls;
use crate::other_client::OtherClient;
use crate::process;
use crate::world::{self, CLIENT, OTHER_CLIENT, RULES_FILE, SECRET, World, is_right, rules_file, seed_user};

/// Latency of a call in these measurements.
pub(crate) const LATENCY: Duration = Duration::from_millis(100);
/// Calls in flight that load the stand-in alone.
const LOAD: usize = 400;
/// Time for which they load it.
const LOAD_FOR: Duration = Duration::from_secs(3);
/// A brake out of reach: the operator has allowed the mass of changes.
const NO_BRAKE: &str = "1000000";

/// One drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mass {
    pub(crate) users: usize,
    /// The tenant's limit, in real time.
    pub(crate) rate: Rate,
    pub(crate) latency: Duration,
    /// Calls per second of another client.
    pub(crate) others: f64,
    /// How often the worker is killed on the way.
    pub(crate) kills: usize,
    pub(crate) within: Duration,
    pub(crate) seed: u64,
}

/// Its figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    pub(crate) limited: usize,
    /// Accepted calls of all clients, divided by those that the bucket permits.
    pub(crate) share: f64,
    pub(crate) seconds: f64,
    /// CPU of worker and Postgres for a change, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// The worker's part of it.
    pub(crate) own_cpu_ms: f64,
    pub(crate) memory_mib: f64,
    pub(crate) right: usize,
    /// Calls that changed nothing and led to no change, in percent.
    pub(crate) without_effect: f64,
}

impl Mass {
    pub(crate) async fn run(self, postgres: &Postgres) -> Result<Drained> {
        let tenant = world::fast_tenant(self.rate, self.latency, self.seed).await?;
        let owners: Vec<Owner> = (0..self.users)
            .map(|number| Owner::new(&format!("owner{number}")))
            .collect();
        for owner in &owners {
            seed_user(&tenant, &owner.user.id)?;
        }
        let rules = rules_file(1, 1)?;
        let path = rules.path().join(RULES_FILE).display().to_string();
        let plan = format!("{}:{}", self.rate.burst, self.rate.per_second);
        let mut settings = vec![
            ("RULES_FILE", path.as_str()),
            ("AUTH0_PLAN", plan.as_str()),
            ("BRAKE_GRANTS", NO_BRAKE),
            ("LOG_LEVEL", "warn,rolekeeper=info"),
        ];
        if self.others == 0.0 {
            settings.push(("AUTH0_RESERVE", "0"));
        }
        let mut world = World::start(postgres, tenant, 1, &settings).await?;
        world.poll_every(Duration::from_millis(250));
        let saved: Vec<_> = owners.iter().map(Owner::saved).collect();
        world.publish(&saved).await?;
        world.rest(self.within).await?;
        let other = if self.others > 0.0 {
            Some(OtherClient::start_at(&world.tenant, Duration::from_secs_f64(1.0 / self.others)).await?)
        } else {
            None
        };
        let server = postgres.pid().context("Postgres has ended")?;
        let before = (process::cpu(world.pid()?)?, process::cpu_with_children(server)?);
        let plays: Vec<_> = owners.iter().flat_map(|owner| owner.plays(0..1)).collect();
        world.publish(&plays).await?;
        for kill in 1..=self.kills {
            self.wait_for(&world.tenant, 2 * self.users * kill / (self.kills + 1))
                .await?;
            world.kill_worker().await?;
        }
        world.rest(self.within).await?;
        drop(other);
        let own = process::cpu(world.pid()?)? - before.0;
        let servers = process::cpu_with_children(server)? - before.1;
        let memory_mib = world.peak_memory_mib()?;
        let drained = self.result(&world.tenant, &owners, (own, servers, memory_mib));
        world.stop_worker().await?;
        Ok(drained)
    }

    /// Waits until the worker has made this many calls.
    async fn wait_for(&self, tenant: &Tenant, calls: usize) -> Result<()> {
        let deadline = Instant::now() + self.within;
        while tenant.with_calls(<[_]>::len) < calls {
            anyhow::ensure!(Instant::now() < deadline, "fewer than {calls} calls");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn result(
        self,
        tenant: &Tenant,
        owners: &[Owner],
        (own, servers, memory_mib): (f64, f64, f64),
    ) -> Drained {
        let ours = Calls::of(tenant, CLIENT);
        let others = Calls::of(tenant, OTHER_CLIENT).during(&ours);
        let seconds = ours.span().as_secs_f64();
        let allowed = f64::from(self.rate.burst) + self.rate.per_second * seconds;
        let right = owners
            .iter()
            .filter(|owner| is_right(tenant, &owner.user.id, true))
            .count();
        let changes = right.max(1) as f64;
        Drained {
            limited: ours.limited(),
            share: (ours.passed() + others.passed()) as f64 / allowed,
            seconds,
            cpu_ms: (own + servers) * 1e3 / changes,
            own_cpu_ms: own * 1e3 / changes,
            memory_mib,
            right,
            without_effect: 100.0 * (ours.count() as f64 - 2.0 * changes).max(0.0)
                / ours.count().max(1) as f64,
        }
    }
}

/// Returns how many calls a second the stand-in tenant answers with nothing beside it.
pub(crate) async fn alone() -> Result<f64> {
    let tenant = world::fast_tenant(Rate::new(100_000, 100_000.0), LATENCY, 1).await?;
    let api = Management::connect(&tenant, CLIENT, SECRET).await?;
    let ends = Instant::now() + LOAD_FOR;
    let mut load = JoinSet::new();
    for number in 0..LOAD {
        let api = api.clone();
        load.spawn(async move {
            let mut answered = 0_u32;
            while Instant::now() < ends {
                let answer = api.user(&world::bystander(number), None).await;
                answered += u32::from(answer.is_ok_and(|answer| answer.status().is_success()));
            }
            answered
        });
    }
    let answered: u32 = load.join_all().await.into_iter().sum();
    Ok(f64::from(answered) / LOAD_FOR.as_secs_f64())
}
