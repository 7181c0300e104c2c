//! The result of a run: read separately from the tenant, the streams and Postgres.
//!
//! Owns the gathering and the figures that follow directly. Must never judge.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use time::OffsetDateTime;

use super::run::Run;
use super::world::{BURST, CLIENT, PER_SECOND, World};
use rolekeeper_sandbox::tenant::{Actor, Call, Endpoint, Version};
use rolekeeper_sandbox::traffic::cast::{Cast, Kind};
use rolekeeper_sandbox::traffic::database::{self, DbSnapshot};
use rolekeeper_sandbox::traffic::http;
use rolekeeper_sandbox::traffic::log_file::{self, LogFile};
use rolekeeper_sandbox::traffic::others::{Others, holds};
use rolekeeper_sandbox::traffic::stream::{APP_EVENTS, AUTH0_LOGS, Streams};
use rolekeeper_sandbox::traffic::tally::Tally;

/// A write of the role that the tenant accepted from the worker.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) user: String,
    /// True for a grant, false for a revoke.
    pub(super) up: bool,
    pub(super) at: OffsetDateTime,
}

/// The gathered result of a run.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) seed: u64,
    pub(super) took: Duration,
    /// The missing results at the deadline.
    pub(super) late: Option<String>,
    /// The sandbox's own count.
    pub(super) tally: Tally,
    /// Roles and settings of other clients, by the sandbox's own record.
    pub(super) others: Others,
    pub(super) old_editors: BTreeSet<String>,
    /// The rows in Postgres.
    pub(super) kept: DbSnapshot,
    /// When the stream stored the events with which a user crossed the threshold, by sequence.
    pub(super) stored_at: BTreeMap<u64, OffsetDateTime>,
    /// The records in the stream of the tenant's log: sequences by the key of a record.
    pub(super) records: BTreeMap<String, Vec<u64>>,
    /// Ids of the records that the tenant logged, and the number of its deliveries.
    pub(super) logged: BTreeSet<String>,
    pub(super) deliveries: usize,
    pub(super) given_up: usize,
    /// The worker's calls, from the tenant's call log.
    pub(super) calls: Vec<Call>,
    /// The versions of each user, from the tenant.
    pub(super) histories: BTreeMap<String, Vec<Version>>,
    /// Unadopted holders, from the worker's metric.
    pub(super) unadopted: Option<f64>,
    /// The records of the file, if one is given.
    pub(super) file: Option<LogFile>,
    /// Whether the worker stopped cleanly on request, and its exit; none while it keeps running.
    pub(super) stopped: Option<(bool, String)>,
}

/// Parameters of the gathering, besides the run's own records.
pub(super) struct Ask<'a> {
    pub(super) seed: u64,
    pub(super) cast: &'a Cast,
    pub(super) file: Option<LogFile>,
    /// Whether the worker keeps running.
    pub(super) keep: bool,
}

/// The run's own records.
pub(super) struct Account {
    took: Duration,
    late: Option<String>,
    tally: Tally,
    others: Others,
}

impl From<Run<'_>> for Account {
    fn from(run: Run<'_>) -> Self {
        Self {
            took: run.progress.elapsed(),
            late: run.late,
            tally: run.tally,
            others: run.others,
        }
    }
}

impl Evidence {
    /// Stops the worker unless it is kept running, and reads all results.
    pub(super) async fn gather(world: &mut World, account: Account, ask: Ask<'_>) -> Result<Self> {
        let Account {
            took,
            late,
            tally,
            others,
        } = account;
        let metrics = http::Worker::new()?
            .metrics(&format!("{}/metrics", world.worker.ops))
            .await;
        let unadopted = metrics
            .ok()
            .and_then(|metrics| metrics.figure("rolekeeper_role_holders{adoption=\"unadopted\"}"));
        let stopped = if ask.keep {
            None
        } else {
            let ended = world.worker.stop().await;
            Some(ended.map_or_else(
                |error| (false, error.to_string()),
                |status| (status.success(), status.to_string()),
            ))
        };
        let streams = Streams::connect(&world.nats.url()).await?;
        let seqs = tally.crossings.iter().map(|crossing| crossing.seq);
        let stored_at = streams.stored_at(APP_EVENTS, seqs).await?;
        let mut records: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for stored in streams.read_all(AUTH0_LOGS).await? {
            let key = log_file::key(&stored.payload);
            records.entry(key).or_default().push(stored.seq);
        }
        let tenant = &world.tenant;
        let users = ask.cast.users.iter();
        let calls = tenant.calls().into_iter();
        Ok(Self {
            seed: ask.seed,
            took,
            late,
            tally,
            others,
            old_editors: users
                .clone()
                .filter(|user| user.kind == Kind::OldEditor)
                .map(|user| user.id.clone())
                .collect(),
            kept: database::read(&world.database_url).await?,
            stored_at,
            records,
            logged: tenant.logged().into_iter().map(|record| record.log_id).collect(),
            deliveries: tenant.delivered_log_ids().len(),
            given_up: tenant.stream_errors().len(),
            calls: calls
                .filter(|call| call.client.as_deref() == Some(CLIENT))
                .collect(),
            histories: users
                .map(|user| (user.id.clone(), tenant.history(&user.id)))
                .collect(),
            unadopted,
            file: ask.file,
            stopped,
        })
    }

    /// Returns the writes of the role that the tenant accepted from the worker, from its histories.
    pub(super) fn written(&self) -> Vec<Written> {
        let mut written = Vec::new();
        for (user, history) in &self.histories {
            for (before, after) in history.iter().zip(&history[1.min(history.len())..]) {
                let [had, has] = [before, after].map(|version| holds(version.app_metadata.as_ref()));
                if had != has && by_worker(after) {
                    written.push(Written {
                        user: user.clone(),
                        up: has,
                        at: after.at,
                    });
                }
            }
        }
        written
    }

    /// Returns the users who hold the role at the tenant at the end.
    pub(super) fn holders(&self) -> BTreeSet<String> {
        let holding = self.histories.iter().filter(|(_, history)| {
            history
                .last()
                .is_some_and(|version| holds(version.app_metadata.as_ref()))
        });
        holding.map(|(user, _)| user.clone()).collect()
    }

    /// Returns the number of the worker's calls of a kind.
    pub(super) fn calls_to(&self, endpoint: Endpoint) -> usize {
        self.calls.iter().filter(|call| call.endpoint == endpoint).count()
    }

    /// Returns the number of calls with this status in the response.
    pub(super) fn answered(&self, status: u16) -> usize {
        self.calls
            .iter()
            .filter(|call| call.status == Some(status))
            .count()
    }

    /// Returns the smallest number of calls that were left in the tenant's rate limit, by a replay of the calls.
    pub(super) fn fewest_left(&self) -> f64 {
        let mut paid = self.calls.iter().filter(|call| call.endpoint != Endpoint::Token);
        let Some(first) = paid.next() else { return BURST };
        let (mut left, mut at) = (BURST - 1.0, first.at);
        let mut fewest = left;
        for call in paid {
            left = (left + (call.at - at).as_seconds_f64() * PER_SECOND).min(BURST) - 1.0;
            at = call.at;
            fewest = fewest.min(left);
        }
        fewest
    }
}

/// Returns whether the worker made this version of a user.
pub(super) fn by_worker(version: &Version) -> bool {
    matches!(&version.by, Actor::Client(client) if client == CLIENT)
}
