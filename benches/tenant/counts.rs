//! The number of calls for one event: a role change, an echo, a login, a user who flaps around the threshold.
//!
//! Owns the scenarios; each one ends before the next begins. The rule is the default one.

use std::ops::Range;
use std::time::Duration;

use anyhow::Result;
use rolekeeper_sandbox::now;
use rolekeeper_sandbox::servers::Postgres;
use rolekeeper_sandbox::traffic::THRESHOLD;
use rolekeeper_sandbox::traffic::cast::{Kind, Playlist, User};
use rolekeeper_sandbox::traffic::event::Event;
use serde_json::json;

use crate::log::Calls;
use crate::world::{self, CLIENT, RULES_FILE, World, is_right, rules_file, seed_user};

const USERS: usize = 50;
const REST_WITHIN: Duration = Duration::from_mins(2);

/// Calls for each kind of event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) change: f64,
    pub(crate) echo: f64,
    pub(crate) login: f64,
    pub(crate) flaps_waiting: f64,
    pub(crate) flaps_live: f64,
    pub(crate) flaps_between_lines: f64,
}

/// A user with one playlist.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) user: User,
    playlist: Playlist,
}

impl Owner {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            user: User {
                id: format!("auth0|{name}"),
                kind: Kind::Member,
                profile: json!({}),
            },
            playlist: Playlist {
                id: format!("pl_{name}"),
                owner: 0,
                plays: 0,
            },
        }
    }

    pub(crate) fn saved(&self) -> Event {
        Event::saved(&self.playlist, &self.user)
    }

    /// Returns plays with these numbers.
    pub(crate) fn plays(&self, numbers: Range<i64>) -> impl Iterator<Item = Event> {
        numbers.map(|number| Event::play(self.play_id(number), &self.playlist.id, &self.user, now()))
    }

    /// Returns the retraction of the play with this number.
    fn taken_back(&self, number: i64) -> Event {
        let of = self.play_id(number);
        Event::retraction(format!("back_{of}"), &self.playlist.id, &of, &self.user, now())
    }

    fn play_id(&self, number: i64) -> String {
        format!("{}_{number}", self.playlist.id)
    }
}

struct Story {
    world: World,
    owners: Vec<Owner>,
    /// Number of calls at the end of the last scenario.
    known: usize,
}

/// How one user crosses the threshold, up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaps {
    /// All events are in the stream when the worker starts.
    AfterOutage,
    /// The events arrive as fast as the stream accepts them.
    Live,
    /// As before, with a rule whose revoke threshold is lower; the last play is not retracted.
    BetweenLines,
}

/// Measures all scenarios.
pub(crate) async fn measure(postgres: &Postgres, factor: u32, flaps: usize) -> Result<Counts> {
    let mut story = Story::begin(postgres, factor, &[]).await?;
    let change = story.changes().await?;
    let echo = story.echoes().await?;
    let login = story.logins().await?;
    let flaps_waiting = story.flaps("flapper1", flaps, Flaps::AfterOutage).await?;
    let flaps_live = story.flaps("flapper2", flaps, Flaps::Live).await?;
    story.world.stop_worker().await?;
    let rules = rules_file(THRESHOLD, THRESHOLD - 10)?;
    let path = rules.path().join(RULES_FILE).display().to_string();
    let mut story = Story::begin(postgres, factor, &[("RULES_FILE", &path)]).await?;
    let flaps_between_lines = story.flaps("flapper3", flaps, Flaps::BetweenLines).await?;
    story.world.stop_worker().await?;
    Ok(Counts {
        change,
        echo,
        login,
        flaps_waiting,
        flaps_live,
        flaps_between_lines,
    })
}

impl Story {
    async fn begin(postgres: &Postgres, factor: u32, settings: &[(&'static str, &str)]) -> Result<Self> {
        let tenant = world::tenant(factor, 0).await?;
        let owners: Vec<Owner> = (0..USERS)
            .map(|number| Owner::new(&format!("owner{number}")))
            .collect();
        for owner in &owners {
            seed_user(&tenant, &owner.user.id)?;
        }
        Ok(Self {
            world: World::start(postgres, tenant, factor, settings).await?,
            owners,
            known: 0,
        })
    }

    /// Publishes events, waits until no work remains, and returns the number of calls.
    async fn told(&mut self, events: &[Event]) -> Result<Calls> {
        self.world.publish(events).await?;
        self.rest().await
    }

    async fn rest(&mut self) -> Result<Calls> {
        self.world.rest(REST_WITHIN).await?;
        let calls = Calls::of(&self.world.tenant, CLIENT).since(self.known);
        self.known += calls.count();
        Ok(calls)
    }

    fn all_right(&self, with_role: bool) -> Result<()> {
        let tenant = &self.world.tenant;
        let right = self
            .owners
            .iter()
            .filter(|owner| is_right(tenant, &owner.user.id, with_role));
        let right = right.count();
        anyhow::ensure!(
            right == USERS,
            "only {right} of {USERS} users are right at the tenant"
        );
        Ok(())
    }

    /// Lets all users get the role and lose it again; no log record of it is delivered.
    async fn changes(&mut self) -> Result<f64> {
        let up = |owner: &Owner| {
            [owner.saved()]
                .into_iter()
                .chain(owner.plays(0..THRESHOLD))
                .collect::<Vec<_>>()
        };
        let up: Vec<Event> = self.owners.iter().flat_map(up).collect();
        let mut calls = self.told(&up).await?.count();
        self.all_right(true)?;
        let down: Vec<Event> = self.owners.iter().map(|owner| owner.taken_back(0)).collect();
        calls += self.told(&down).await?.count();
        self.all_right(false)?;
        Ok(calls as f64 / (2 * USERS) as f64)
    }

    /// Lets all users get the role again, and the tenant's log delivers the records.
    async fn echoes(&mut self) -> Result<f64> {
        self.world.stream_logs(1)?;
        let up: Vec<Event> = self
            .owners
            .iter()
            .flat_map(|owner| owner.plays(THRESHOLD..THRESHOLD + 1))
            .collect();
        let calls = self.told(&up).await?;
        self.all_right(true)?;
        let echoes = self.world.tenant.delivered_log_ids().len();
        anyhow::ensure!(
            calls.writes() == USERS && echoes >= USERS,
            "{} writes and {echoes} echoes of {USERS} changes",
            calls.writes()
        );
        Ok(calls.after_own_write() as f64 / echoes as f64)
    }

    /// Lets all users log in.
    async fn logins(&mut self) -> Result<f64> {
        let before = self.world.tenant.delivered_log_ids().len();
        for owner in &self.owners {
            let login = self.world.tenant.login(&owner.user.id).map(drop);
            login.map_err(|error| anyhow::anyhow!("no login: {error:?}"))?;
        }
        let calls = self.rest().await?.count();
        let records = self.world.tenant.delivered_log_ids().len() - before;
        anyhow::ensure!(records >= USERS, "only {records} records of {USERS} logins came");
        Ok(calls as f64 / USERS as f64)
    }

    /// Lets one user cross the threshold up and down, repeatedly.
    async fn flaps(&mut self, name: &str, flaps: usize, how: Flaps) -> Result<f64> {
        let owner = Owner::new(name);
        seed_user(&self.world.tenant, &owner.user.id)?;
        let up_to_it: Vec<Event> = [owner.saved()]
            .into_iter()
            .chain(owner.plays(1..THRESHOLD))
            .collect();
        self.told(&up_to_it).await?;
        let end = THRESHOLD + i64::try_from(flaps)?;
        let across = |number: i64| owner.plays(number..number + 1).chain([owner.taken_back(number)]);
        let mut across: Vec<Event> = (THRESHOLD..end).flat_map(across).collect();
        let stays = how == Flaps::BetweenLines;
        across.extend(owner.plays(end..end + i64::from(stays)));
        if how == Flaps::AfterOutage {
            self.world.stop_worker().await?;
            self.world.publish(&across).await?;
            self.world.start_worker().await?;
        } else {
            self.world.publish(&across).await?;
        }
        self.world.stream_logs(2)?;
        let calls = self.rest().await?.count();
        anyhow::ensure!(
            is_right(&self.world.tenant, &owner.user.id, stays),
            "the user who flapped is not right at the tenant"
        );
        Ok(calls as f64)
    }
}
