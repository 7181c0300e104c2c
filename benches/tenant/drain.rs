//! Many role changes at once, drained by one contender.
//!
//! Owns one round: the same users at the same tenant, one client that changes roles, with or without another client. The
//! rule's threshold is one play, so that one event per user creates the whole backlog at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rolekeeper_sandbox::servers::Postgres;
use rolekeeper_sandbox::tenant::Tenant;

use crate::counts::Owner;
use crate::log::Calls;
use crate::other_client::OtherClient;
use crate::plain;
use crate::world::{
    self, BURST, BYSTANDERS, CLIENT, OTHER_CLIENT, PER_SECOND, RULES_FILE, World, bystander, is_right,
    rules_file, seed_user,
};

const REST_WITHIN: Duration = Duration::from_mins(5);
/// How long the other client calls before the contender begins.
const BEFOREHAND: Duration = Duration::from_secs(1);
/// Changes that the plain client has in flight at once, per factor of the clock: they equal 4 in real time.
const PLAIN_WORKERS: u32 = 4;

/// The client that changes the roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Rolekeeper,
    Plain,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rolekeeper => "rolekeeper",
            Self::Plain => "plain client",
        }
    }
}

/// One round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    pub(crate) contender: Contender,
    /// Whether another client uses half of the rate, and the worker keeps its default reserve; else it keeps none.
    pub(crate) other_client: bool,
    pub(crate) changes: usize,
    pub(crate) factor: u32,
    pub(crate) seed: u64,
}

/// The figures of a round, from the tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    /// Calls of the contender.
    pub(crate) calls: usize,
    /// Calls of the contender that were refused with 429.
    pub(crate) limited: usize,
    /// Calls of the other client while the contender worked.
    pub(crate) other_calls: usize,
    /// Calls of the other client that were refused with 429.
    pub(crate) other_limited: usize,
    /// Accepted calls of all clients, divided by the calls that the bucket permits from the contender's first call to its
    /// last: a full bucket, and its refill since.
    pub(crate) share: f64,
    /// Time from the contender's first call to its last.
    pub(crate) seconds: f64,
    /// Changes that were given up.
    pub(crate) failed: usize,
    /// Users with the right roles and other settings.
    pub(crate) right: usize,
    /// Unaffected users who have changed.
    pub(crate) bystanders_changed: usize,
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls in {:.1} s, {} times 429, {:.1} % of the rate used; the other client: {} calls, {} times 429; \
             {} failed, {} right",
            self.calls,
            self.seconds,
            self.limited,
            self.share * 100.0,
            self.other_calls,
            self.other_limited,
            self.failed,
            self.right,
        )
    }
}

impl Drain {
    /// Runs the round, from a new tenant to the last change.
    pub(crate) async fn run(self, postgres: &Postgres) -> Result<Drained> {
        let tenant = world::tenant(self.factor, self.seed).await?;
        let owners: Vec<Owner> = (0..self.changes)
            .map(|number| Owner::new(&format!("owner{number}")))
            .collect();
        for owner in &owners {
            seed_user(&tenant, &owner.user.id)?;
        }
        match self.contender {
            Contender::Rolekeeper => self.rolekeeper(postgres, tenant, &owners).await,
            Contender::Plain => self.plain(tenant, &owners).await,
        }
    }

    async fn rolekeeper(self, postgres: &Postgres, tenant: Tenant, owners: &[Owner]) -> Result<Drained> {
        let rules = rules_file(1, 1)?;
        let path = rules.path().join(RULES_FILE).display().to_string();
        let mut settings = vec![("RULES_FILE", path.as_str())];
        if !self.other_client {
            settings.push(("AUTH0_RESERVE", "0"));
        }
        let mut world = World::start(postgres, tenant, self.factor, &settings).await?;
        world.stream_logs(self.seed)?;
        let saved: Vec<_> = owners.iter().map(Owner::saved).collect();
        world.publish(&saved).await?;
        world.rest(REST_WITHIN).await?;
        let known = Calls::of(&world.tenant, CLIENT).count();
        anyhow::ensure!(known == 0, "{known} calls before there was anything to do");
        let other = self.other_client(&world.tenant).await?;
        let plays: Vec<_> = owners.iter().flat_map(|owner| owner.plays(0..1)).collect();
        world.publish(&plays).await?;
        world.rest(REST_WITHIN).await?;
        drop(other);
        let drained = self.result(&world.tenant, owners, None);
        world.stop_worker().await?;
        Ok(drained)
    }

    async fn plain(self, tenant: Tenant, owners: &[Owner]) -> Result<Drained> {
        let users: Arc<[String]> = owners.iter().map(|owner| owner.user.id.clone()).collect();
        let other = self.other_client(&tenant).await?;
        let failed = plain::grant(&tenant, users, PLAIN_WORKERS * self.factor).await?;
        drop(other);
        Ok(self.result(&tenant, owners, Some(failed)))
    }

    async fn other_client(self, tenant: &Tenant) -> Result<Option<OtherClient>> {
        if !self.other_client {
            return Ok(None);
        }
        let other = OtherClient::start(tenant, PER_SECOND * self.factor / 2).await?;
        tokio::time::sleep(BEFOREHAND).await;
        Ok(Some(other))
    }

    /// Reads the figures from the tenant. The worker never gives up a change silently: a missing change counts as failed.
    fn result(self, tenant: &Tenant, owners: &[Owner], failed: Option<usize>) -> Drained {
        let ours = Calls::of(tenant, CLIENT);
        let others = Calls::of(tenant, OTHER_CLIENT).during(&ours);
        let seconds = ours.span().as_secs_f64();
        let allowed = f64::from(BURST) + f64::from(PER_SECOND * self.factor) * seconds;
        let right = owners
            .iter()
            .filter(|owner| is_right(tenant, &owner.user.id, true))
            .count();
        let changed = (0..BYSTANDERS).filter(|number| !is_right(tenant, &bystander(*number), false));
        Drained {
            calls: ours.count(),
            limited: ours.limited(),
            other_calls: others.count(),
            other_limited: others.limited(),
            share: (ours.passed() + others.passed()) as f64 / allowed,
            seconds,
            failed: failed.unwrap_or(owners.len() - right),
            right,
            bystanders_changed: changed.count(),
        }
    }
}
