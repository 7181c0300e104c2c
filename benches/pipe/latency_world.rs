//! The world of a latency measurement: the worker with all stages, its servers, a tenant that responds in 5 ms.
//!
//! Owns their start, the check for remaining work, and the comparison of counts, roles and writes with the expected ones. Must
//! never take a figure from the worker: the time of a role is the tenant's time of the write.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::jetstream::{self, Context};
use rolekeeper_sandbox::servers::Nats;
use rolekeeper_sandbox::tenant::{Call, Client, Endpoint, LogStream, Tenant, TenantOptions};
use rolekeeper_sandbox::traffic::ROLE;
use rolekeeper_sandbox::traffic::stream::Streams;
use rolekeeper_sandbox::traffic::{others, rest};
use rolekeeper_sandbox::worker::{self, Worker};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use crate::console::TOKEN;
use crate::database;
use crate::ground::Ground;
use crate::latency_plays::{self, Published, Watch};
use crate::latency_script::{Crossing, Part, Script, User};
use crate::times::Times;

/// The worker's client at the tenant.
const CLIENT: &str = "role-changer";
pub(crate) const PLAIN_CLIENT: &str = "another-client";
pub(crate) const SECRET: &str = "secret";
const LOG_TOKEN: &str = "log-stream-token-of-the-bench";
/// A user of the tenant without a playlist.
pub(crate) const BYSTANDER: &str = "auth0|bystander";
const ANSWERS_IN: Duration = Duration::from_millis(5);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const REST_WITHIN: Duration = Duration::from_secs(30);

/// The figures of one round.
pub(crate) struct Round {
    pub(crate) counted: Times,
    pub(crate) changed: Times,
    pub(crate) acked: Times,
}

/// All running parts. On drop, they end in this order.
pub(crate) struct World {
    pub(crate) worker: Worker,
    pub(crate) tenant: Tenant,
    pub(crate) jetstream: Context,
    streams: Streams,
    db: PgConnection,
    url: String,
    name: &'static str,
    script: Script,
    _nats: Nats,
}

impl World {
    /// Starts all parts, with a worker of `program` on a copy of the database `template` under this name. Afterwards half of
    /// the users hold the role, and caches, plans and connections are warm.
    pub(crate) async fn start(
        ground: &Ground,
        program: &Path,
        template: &str,
        name: &'static str,
    ) -> Result<Self> {
        let mut script = Script::new(ground.sizes.playlists)?;
        let url = database::copy(&ground.postgres, template, name).await?;
        let mut db = PgConnection::connect(&url).await?;
        latency_plays::make_it_notify(&mut db).await?;
        let (nats, tenant) = (Nats::start().await?, tenant(&script.users).await?);
        let worker = worker(program, &url, &nats.url(), &tenant).await?;
        let first = script.warm_up();
        let jetstream = jetstream::new(async_nats::connect(nats.url()).await?);
        let mut world = Self {
            worker,
            tenant,
            streams: Streams::new(jetstream.clone()),
            jetstream,
            db,
            url,
            name,
            script,
            _nats: nats,
        };
        world.play(first).await?;
        Ok(world)
    }

    /// Publishes plays for a while.
    pub(crate) async fn round(&mut self) -> Result<Round> {
        let part = self.script.round();
        let watch = Watch::start(&self.url).await?;
        let (published, crossings) = self.play(part).await?;
        Ok(Round {
            counted: watch.counted(&published)?,
            changed: self.changed(&published, &crossings)?,
            acked: latency_plays::acked(&published),
        })
    }

    /// Publishes events, and waits until no work remains.
    async fn play(&mut self, part: Part) -> Result<(Vec<Published>, Vec<Crossing>)> {
        let published = latency_plays::publish(&self.jetstream, part.events).await?;
        let deadline = Instant::now() + REST_WITHIN;
        while !rest::is_reached(&self.tenant, &self.streams, &mut self.db).await? {
            self.worker.still_runs()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "work remains after {REST_WITHIN:?}; the end of the worker's log:\n{}",
                self.worker.log_tail()
            );
            sleep(POLL_INTERVAL).await;
        }
        Ok((published, part.crossings))
    }

    /// Returns the times from the call that published each crossing event to the tenant's write of the role.
    fn changed(&self, published: &[Published], crossings: &[Crossing]) -> Result<Times> {
        let mut times = Times::default();
        for Crossing { event, user, granted } in crossings {
            let called_at = published[*event].called_at;
            let history = self.tenant.history(user);
            let written = history.iter().find(|version| {
                version.at > called_at && others::holds(version.app_metadata.as_ref()) == *granted
            });
            let written = written.with_context(|| format!("{user}: the role was not written"))?;
            times.push((written.at - called_at).try_into()?);
        }
        Ok(times)
    }

    /// Compares all counts with ours, each user at the tenant with the expected one, and the number of writes with the number
    /// of crossings.
    pub(crate) async fn is_exact(&self, playlists: u32) -> Result<()> {
        database::is_exact(&self.url, playlists, &self.script.counts).await?;
        for user in &self.script.users {
            let found = self.tenant.user(&user.id).unwrap_or_default();
            let right = if user.earns() {
                json!({"roles": ["beta_tester", ROLE], "plan": "gold"})
            } else {
                json!({"roles": ["beta_tester"], "plan": "gold"})
            };
            let found = &found["app_metadata"];
            anyhow::ensure!(*found == right, "{}: {found}, expected {right}", user.id);
        }
        let ours = |call: &&Call| {
            call.applied && call.endpoint == Endpoint::PatchUser && call.client.as_deref() == Some(CLIENT)
        };
        let writes = self.tenant.with_calls(|calls| calls.iter().filter(ours).count());
        let crossed = self.script.crossed;
        anyhow::ensure!(writes == crossed, "{writes} writes for {crossed} crossings");
        Ok(())
    }

    pub(crate) async fn stop(mut self, ground: &Ground) -> Result<()> {
        self.worker.stop().await?;
        database::drop_it(&ground.postgres, self.name).await
    }
}

/// Returns a tenant without a rate limit, with the users who will cross.
async fn tenant(users: &[User]) -> Result<Tenant> {
    let tenant = Tenant::start(TenantOptions {
        clients: vec![Client::new(CLIENT, SECRET), Client::new(PLAIN_CLIENT, SECRET)],
        latency: ANSWERS_IN..=ANSWERS_IN,
        ..TenantOptions::default()
    });
    let tenant = tenant.await?;
    for user in users.iter().map(|user| user.id.as_str()).chain([BYSTANDER]) {
        let profile = json!({
            "app_metadata": {"roles": ["beta_tester"], "plan": "gold"},
            "user_metadata": {"displayName": "Listener"},
        });
        let seeded = tenant.seed_user(user, profile).map(drop);
        seeded.map_err(|error| anyhow::anyhow!("the tenant refused {user}: {error:?}"))?;
    }
    Ok(tenant)
}

/// Returns the worker when it is ready and receives the tenant's log.
async fn worker(program: &Path, url: &str, nats: &str, tenant: &Tenant) -> Result<Worker> {
    let mut settings = worker::settings(url, nats, &tenant.base_url(), (CLIENT, SECRET), LOG_TOKEN);
    settings.extend([
        // This is the largest plan, so no rate limit delays the worker.
        ("AUTH0_PLAN", "500:10000".to_owned()),
        // This is more than all rounds together change, so no change is held.
        ("BRAKE_REVOKES", "100000".to_owned()),
        ("BRAKE_GRANTS", "100000".to_owned()),
        ("CONSOLE_READ_TOKEN", TOKEN.to_owned()),
    ]);
    worker::migrate(program, &settings).await?;
    let mut worker = Worker::spawn(program, &settings)?;
    worker.ready().await?;
    let public = worker.address("LISTEN").context("the worker does not listen")?;
    tenant.stream_logs(LogStream::to(format!("http://{public}/auth0/logs"), LOG_TOKEN))?;
    Ok(worker)
}
