//! `rolekeeper rebuild`: counts again from the bases, and corrects the stored counts that differ.
//!
//! Owns the arguments and the text of the result. Must never correct without a reason of the operator.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::interrupt::Interrupt;
use super::output::{self, remark, say};
use super::progress::Progress;
use super::rules;
use super::verify::{not_checked, partitions};
use crate::app;
use crate::config::{BusArgs, DatabaseArgs, ErasureArgs, ReasonedArgs, check_parts};
use crate::flow::rebuild::{Rebuild, Rebuilt};
use crate::flow::recount::Recounter;
use rolekeeper_domain::event::PARTITIONS;
use rolekeeper_domain::plural::noun;

/// Counts each partition again from its base, and corrects the playlists whose stored count, owner or deletion differs, each partition
/// in one transaction. Their owners are enqueued, so that their roles follow. No attempt begins meanwhile; counting goes on. Where
/// nothing was wrong nothing changes. After an interruption, or a kill, run it again: corrected partitions stay corrected.
#[derive(Args, Debug)]
pub(super) struct RebuildArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    erasure: ErasureArgs,
    #[command(flatten)]
    bus: BusArgs,
    /// One partition alone, from 0 to 63
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(0..i64::from(PARTITIONS)))]
    partition: Option<i16>,
    #[command(flatten)]
    act: ReasonedArgs,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: RebuildArgs) -> Result<ExitCode> {
    let RebuildArgs {
        database,
        erasure,
        bus,
        partition,
        act,
        json,
    } = args;
    let (_, key) = erasure.checked_if_set(&database)?;
    let (database, bus) = check_parts(&database, &bus)?;
    let store = app::connect(&database).await?.with_erasure_key(key);
    store.check_schema().await?;
    let in_force = rules::in_force(&store).await?;
    let (stop, mut interrupt) = (CancellationToken::new(), Interrupt::catch()?);
    let rebuild = Rebuild {
        recounter: Recounter {
            store: &store,
            bus: &app::bus(&bus).await?,
            stop: stop.clone(),
        },
        rules: in_force.rules,
        sums: partition.is_none(),
        act: act.act("rebuild", json!({"partition": partition})),
    };
    let partitions = partitions(partition);
    let mut progress = Progress::new("partitions", Some(partitions.len() as u64));
    let rebuilt = rebuild.run(&partitions, |done| progress.at(done));
    let rebuilt = interrupt.stops(Box::pin(rebuilt), &stop).await;
    progress.clear();
    let rebuilt = rebuilt?;
    if json {
        output::json(&rebuilt)?;
    } else {
        say!("{}", shown(&rebuilt));
    }
    if rebuilt.not_rebuilt.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    remark!("{}", not_checked(&rebuilt.not_rebuilt).trim_end());
    Ok(ExitCode::FAILURE)
}

fn shown(rebuilt: &Rebuilt) -> String {
    let Rebuilt {
        partitions,
        playlists,
        corrected,
        corrected_sums,
        ..
    } = rebuilt;
    let counted = format!(
        "{playlists} {} in {partitions} {} {} counted again",
        noun(*playlists, "playlist", "playlists"),
        noun(*partitions, "partition", "partitions"),
        noun(*playlists, "was", "were")
    );
    let were = noun(*corrected, "was", "were");
    match (corrected, corrected_sums) {
        (0, 0) => format!("{counted}: nothing differed, and nothing was changed"),
        (corrected, 0) => format!("{counted}: {corrected} {were} corrected, and the owners enqueued"),
        (corrected, sums) => {
            format!(
                "{counted}: {corrected} {were} corrected, and the sums of {sums} {}; the users are enqueued",
                noun(*sums, "user", "users")
            )
        }
    }
}
