//! `rolekeeper verify`: compares counts with the stream, and stored roles with Auth0.
//!
//! Owns the arguments, the JSON form and the exit codes. Must never change anything.

mod text;
mod verified;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::interrupt::Interrupt;
use super::output::{self, remark};
use super::progress::Progress;
use crate::app;
use crate::config::{Auth0Config, BusConfig, VerifyConfig, VerifySettings};
use crate::flow::recount::Recounter;
use crate::flow::verify::{Counts, Roles, RolesRun, Sums, counts, sums};
use crate::store::Store;
use rolekeeper_domain::event::PARTITIONS;
use rolekeeper_domain::plan::RoleChange;
pub(super) use text::not_checked;
use verified::Verified;

/// Exit code with differences.
const DIFFERENCES: u8 = 2;

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper verify
  rolekeeper verify --counts --partition 7
  rolekeeper verify --json | jq '.counts.differences[], .roles.differences[]'

Exit code: 0 no difference, 1 error, interrupted, or no difference but not all could be compared, 2 differences.";

/// Counts again from the stream and compares with Postgres, and compares the roles that Postgres has with the profiles at Auth0.
/// Each of 64 partitions is counted from its base: the counts as they were at an earlier position of the stream, which a worker
/// copies once in 64 hours. What lies before a base cannot be checked. Reads only: a role of Postgres with SELECT alone and a client
/// of Auth0 that only reads are enough. Profiles are read one by one, within half of the share of the rate limit that rolekeeper may
/// use.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    settings: VerifySettings,
    /// Compare the counts alone; needs no settings of Auth0
    #[arg(long, conflicts_with = "roles")]
    counts: bool,
    /// Compare the roles alone; needs no settings of NATS
    #[arg(long)]
    roles: bool,
    /// One partition of the counts alone, from 0 to 63
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(0..i64::from(PARTITIONS)), conflicts_with = "roles")]
    partition: Option<i16>,
    /// Most differences to show of each kind
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// One JSON object, with the first 10,000 differences of each kind
    #[arg(long)]
    json: bool,
}

/// The parts of a run.
struct Run {
    store: Store,
    stop: CancellationToken,
}

pub(super) async fn run(args: VerifyArgs) -> Result<ExitCode> {
    let VerifyArgs {
        settings,
        counts,
        roles,
        partition,
        limit,
        json,
    } = args;
    let VerifyConfig { database, bus, auth0 } = settings.checked(!roles, !counts)?;
    let run = Run {
        store: app::connect_to_read(&database).await?,
        stop: CancellationToken::new(),
    };
    let mut interrupt = Interrupt::catch()?;
    let verified = run.verify((bus, partition), auth0);
    let verified = interrupt.stops(Box::pin(verified), &run.stop).await?;
    if json {
        output::json(&verified)?;
    } else {
        output::to_stdout(format_args!("{}", text::of(&verified, limit)));
    }
    if verified.roles.as_ref().is_some_and(|roles| roles.interrupted) {
        bail!("interrupted: the other users were not compared; nothing was changed");
    }
    Ok(if output::has_failed() {
        ExitCode::FAILURE
    } else if verified.differs() {
        ExitCode::from(DIFFERENCES)
    } else if verified.lacks() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Run {
    async fn verify(
        &self,
        (bus, partition): (Option<BusConfig>, Option<i16>),
        auth0: Option<(Auth0Config, Option<f64>)>,
    ) -> Result<Verified> {
        let (mut not_known, mut sums) = (Vec::new(), None);
        let counts = match bus {
            Some(bus) => {
                not_known.extend(text::NOT_KNOWN_OF_COUNTS);
                let counts = self.counts(&bus, partition).await?;
                if partition.is_none() {
                    sums = self.sums().await?;
                }
                Some(counts)
            }
            None => None,
        };
        let roles = match auth0 {
            Some((auth0, reserve)) => {
                not_known.extend(text::NOT_KNOWN_OF_ROLES);
                Some(self.roles(&auth0, reserve).await?)
            }
            None => None,
        };
        Ok(Verified {
            counts,
            sums,
            roles,
            not_known,
        })
    }

    /// The sums of all playlists of a user, where a rule needs them.
    async fn sums(&self) -> Result<Option<Sums>> {
        let in_force = self.store.rules_in_force().await?;
        Ok(match in_force.filter(|in_force| in_force.rules.need_totals()) {
            Some(_) => Some(sums(&self.store, &self.stop).await?),
            None => None,
        })
    }

    async fn counts(&self, bus: &BusConfig, partition: Option<i16>) -> Result<Counts> {
        let recounter = Recounter {
            store: &self.store,
            bus: &app::bus(bus).await?,
            stop: self.stop.clone(),
        };
        let partitions = partitions(partition);
        let mut progress = Progress::new("partitions", Some(partitions.len() as u64));
        let counts = counts(&recounter, &partitions, |done| progress.at(done)).await;
        progress.clear();
        Ok(counts?)
    }

    async fn roles(&self, auth0: &Auth0Config, reserve: Option<f64>) -> Result<Roles> {
        let rate = (auth0.plan, reserve);
        let run = RolesRun::new(
            &self.store,
            app::reader(auth0)?,
            rate,
            |line| remark!("{line}"),
            self.stop.clone(),
        );
        let run = run.await?;
        let users = self.store.holders(RoleChange::Granted).await?;
        let mut progress = Progress::new("users", Some(users.unsigned_abs()));
        let roles = run.run(|done| progress.at(done)).await;
        progress.clear();
        Ok(roles?)
    }
}

/// This partition alone, or all.
pub(super) fn partitions(one: Option<i16>) -> Vec<i16> {
    match one {
        Some(one) => vec![one],
        None => (0..i16::try_from(PARTITIONS).unwrap_or_default()).collect(),
    }
}
