//! The run: its phases, and the condition that ends each phase.
//!
//! Owns pace and order: the users exist first, then plays, logins and sign-ups arrive; when every role is granted, the support
//! desk adds other roles and plays are retracted; the run ends when all work is done. The worker's own reports only decide
//! when a phase ends, and never a check.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep};

use super::progress::{Figures, Progress};
use super::world::{CLIENT, TOKEN, World};
use rolekeeper_sandbox::now;
use rolekeeper_sandbox::tenant::{ApiError, Endpoint};
use rolekeeper_sandbox::traffic::cast::{Cast, Kind};
use rolekeeper_sandbox::traffic::event::Event;
use rolekeeper_sandbox::traffic::http::{self, Metrics};
use rolekeeper_sandbox::traffic::log_file::LogFile;
use rolekeeper_sandbox::traffic::others::{Others, holds};
use rolekeeper_sandbox::traffic::publish::Publisher;
use rolekeeper_sandbox::traffic::script::{Act, Script};
use rolekeeper_sandbox::traffic::stream::{APP_EVENTS, AUTH0_LOGS, Streams};
use rolekeeper_sandbox::traffic::tally::Tally;

/// Time in which plays arrive, and time in which they are retracted.
const PLAYING: Duration = Duration::from_secs(40);
const TAKING_BACK: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(50);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Users who get another role by hand before plays are retracted.
const DESK_ROLES: usize = 12;

/// A run and its own records.
#[derive(Debug)]
pub(super) struct Run<'w> {
    world: &'w mut World,
    cast: &'w Cast,
    deadline: Instant,
    publisher: Publisher,
    streams: Streams,
    http: http::Worker,
    phase: &'static str,
    pub(super) progress: Progress,
    /// The count of the published events.
    pub(super) tally: Tally,
    /// Roles and settings of other clients.
    pub(super) others: Others,
    /// The missing results at the deadline.
    pub(super) late: Option<String>,
}

impl<'w> Run<'w> {
    pub(super) async fn new(
        world: &'w mut World,
        cast: &'w Cast,
        progress: Progress,
        deadline: Instant,
    ) -> Result<Self> {
        let url = world.nats.url();
        Ok(Self {
            publisher: Publisher::connect(&url).await?,
            streams: Streams::connect(&url).await?,
            http: http::Worker::new()?,
            phase: "starting",
            tally: Tally::default(),
            others: Others::new(cast),
            late: None,
            world,
            cast,
            deadline,
            progress,
        })
    }

    /// Runs all phases, until the end or the deadline.
    pub(super) async fn everything(&mut self, seed: u64, logs: Option<&LogFile>) -> Result<()> {
        for user in self.cast.users.iter().filter(|user| user.kind != Kind::Newcomer) {
            accepted(self.world.tenant.seed_user(&user.id, user.profile.clone()))?;
        }
        self.world.stream_logs(seed)?;
        if let Some(logs) = logs {
            self.progress
                .say(&format!("{} log records from the file", logs.records.len()));
            let webhook = &self.world.worker.webhook;
            self.http.post_logs(webhook, TOKEN, &logs.records).await?;
        }
        let mut script = Script::new(self.cast, seed, now());
        let saves: Vec<&Event> = script.saves.iter().collect();
        self.publish(&saves).await?;
        let acts = std::mem::take(&mut script.acts);
        self.act("plays arrive", &acts, PLAYING).await?;
        if !self.settle("roles are granted", false).await? {
            return Ok(());
        }
        self.desk_roles()?;
        let back = script.take_back(self.cast);
        let back: Vec<Act> = back
            .into_iter()
            .map(|event| Act::Publish(Box::new(event)))
            .collect();
        self.act("plays are retracted", &back, TAKING_BACK).await?;
        self.settle("the last log records arrive", true).await?;
        self.progress.end();
        Ok(())
    }

    async fn publish(&mut self, events: &[&Event]) -> Result<()> {
        let seqs = self.publisher.send(events).await?;
        for (event, seq) in events.iter().zip(seqs) {
            self.tally.take(event, seq);
        }
        Ok(())
    }

    /// Performs the acts of the script, evenly over some time.
    async fn act(&mut self, phase: &'static str, acts: &[Act], over: Duration) -> Result<()> {
        self.phase = phase;
        let ticks = usize::try_from(over.as_millis() / TICK.as_millis())?;
        let mut every = interval(TICK);
        for acts in acts.chunks(acts.len().div_ceil(ticks).max(1)) {
            every.tick().await;
            self.world.worker.still_runs()?;
            anyhow::ensure!(
                Instant::now() < self.deadline,
                "the time limit was reached while {phase}"
            );
            let events: Vec<&Event> = acts.iter().filter_map(Act::event).collect();
            self.publish(&events).await?;
            for act in acts {
                self.action(act)?;
            }
            self.show().await;
        }
        Ok(())
    }

    fn action(&mut self, act: &Act) -> Result<()> {
        let tenant = &self.world.tenant;
        match act {
            Act::Publish(_) => {}
            Act::Login(user) => accepted(tenant.login(&self.cast.users[*user].id))?,
            Act::SignUp(user) => {
                let user = &self.cast.users[*user];
                accepted(tenant.create_user(&user.id, user.profile.clone()))?;
            }
            Act::DeskEdit(user, ticket) => {
                let user = &self.cast.users[*user].id;
                accepted(tenant.dashboard_edit(user, json!({"app_metadata": {"ticket": ticket}})))?;
                self.others.set(user, "ticket", ticket.clone());
            }
        }
        Ok(())
    }

    /// Adds another role to some users with the role and to some without it, as a person at a support desk does:
    /// reads the list of roles and writes it back with one more.
    fn desk_roles(&mut self) -> Result<()> {
        let (above, exactly) = self.cast.crossing();
        let crossing = above.iter().take(DESK_ROLES / 3);
        let chosen = crossing
            .chain(exactly.iter().take(DESK_ROLES / 3))
            .chain(self.cast.one_short().iter().take(DESK_ROLES / 3));
        for playlist in chosen {
            let user = &self.cast.users[playlist.owner].id;
            let profile = self.world.tenant.user(user).context("a user is missing")?;
            let mut roles = profile["app_metadata"]["roles"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            roles.push("verified_artist".into());
            let patch = json!({"app_metadata": {"roles": roles}});
            accepted(self.world.tenant.dashboard_edit(user, patch))?;
            self.others.add_role(user, "verified_artist");
        }
        Ok(())
    }

    /// Waits until nothing is missing; returns false when the deadline is reached before.
    async fn settle(&mut self, phase: &'static str, all: bool) -> Result<bool> {
        self.phase = phase;
        loop {
            self.world.worker.still_runs()?;
            let missing = self.missing(all).await?;
            if missing.is_empty() {
                return Ok(true);
            }
            if Instant::now() >= self.deadline {
                self.late = Some(missing.join("; "));
                return Ok(false);
            }
            self.show().await;
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the missing results, as text; with `all`, also results on which no role depends.
    async fn missing(&self, all: bool) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        let mut note = |count: u64, what: &str| {
            if count > 0 {
                missing.push(format!("{count} {what}"));
            }
        };
        let metrics = self.metrics().await;
        note(
            self.tally.last_seq.saturating_sub(metrics.read(APP_EVENTS)),
            "app events not read",
        );
        let out_of_date = self.tally.crossings.iter().filter(|crossing| {
            let user = self.world.tenant.user(&crossing.user).unwrap_or_default();
            holds(user.get("app_metadata")) != self.tally.holders.contains(&crossing.user)
        });
        note(out_of_date.count() as u64, "users with the wrong roles");
        if all {
            note(
                self.world.tenant.undelivered() as u64,
                "log records not delivered",
            );
            let stored = self.streams.last_seq(AUTH0_LOGS).await?;
            note(
                stored.saturating_sub(metrics.read(AUTH0_LOGS)),
                "log records not read",
            );
            note(metrics.waiting(), "users in the queue");
        }
        Ok(missing)
    }

    /// Returns the worker's metrics; empty ones while it does not respond.
    async fn metrics(&self) -> Metrics {
        let url = format!("{}/metrics", self.world.worker.ops);
        self.http.metrics(&url).await.unwrap_or_default()
    }

    async fn show(&mut self) {
        if !self.progress.due() {
            return;
        }
        let metrics = self.metrics().await;
        let written = self.world.tenant.with_calls(|calls| {
            let ours = calls.iter().filter(|call| call.client.as_deref() == Some(CLIENT));
            ours.filter(|call| call.endpoint == Endpoint::PatchUser && call.applied)
                .count()
        });
        self.progress.show(&Figures {
            phase: self.phase,
            published: self.tally.last_seq,
            counted: metrics.read(APP_EVENTS),
            written: written as u64,
            waiting: metrics.waiting(),
        });
    }
}

fn accepted(answer: Result<Value, ApiError>) -> Result<()> {
    let answer = answer.map(drop);
    answer.map_err(|error| anyhow::anyhow!("the tenant refused an act of the script: {error:?}"))
}
