//! `rolekeeper rules`: the rules in force.
//!
//! Owns the output about them. Must never put rules in force without the checks that a worker's rules file passes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::output::{self, say};
use super::plan::{OutputArgs, Plan, Users};
use crate::app;
use crate::config::{ActArgs, DatabaseArgs, ForbiddenArgs};
use crate::flow::rules_file;
use crate::store::{InForce, OfferedBy, Store, StoreError};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::rule::Versioned;
use rolekeeper_domain::rule::offer::{Verdict, changes};

/// Examples for `--help`.
const PLAN_EXAMPLES: &str = "Examples:
  rolekeeper rules plan rules.toml
  rolekeeper rules plan rules.toml -o new.plan
  rolekeeper apply new.plan --why \"lower threshold\"

Exit code: 0 no difference, 1 error, or wrong arguments, 2 differences.";

/// Activations in JSON.
const ACTIVATIONS: i64 = 20;

/// Shows the rules in force, or what a rules file would change, or puts it in force.
#[derive(Args, Debug)]
pub(super) struct RulesArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the rules in force, since when they are, and how far users were compared with them
    Show {
        /// One JSON object: the rules, the comparison of users with them, and the last 20 activations
        #[arg(long)]
        json: bool,
    },
    /// Show who would gain or lose a role under a rules file, in place of the rules in force
    #[command(after_help = PLAN_EXAMPLES)]
    Plan {
        /// The rules file (TOML)
        file: PathBuf,
        #[command(flatten)]
        forbidden: ForbiddenArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Put a rules file in force; its version must be higher than that of the rules in force
    Apply {
        /// The rules file (TOML)
        file: PathBuf,
        /// Apply also when running workers do not know the format of the file; these workers then stand by
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        forbidden: ForbiddenArgs,
        #[command(flatten)]
        act: ActArgs,
    },
}

pub(super) async fn run(args: RulesArgs) -> Result<ExitCode> {
    let RulesArgs { database, action } = args;
    let database = database.checked()?;
    match action {
        Action::Show { json: true } => {
            let store = app::connect_to_read(&database).await?;
            let shown = store.rules_shown(i64::MAX, ACTIVATIONS).await?;
            output::json(&shown)?;
        }
        Action::Show { json: false } => show(&app::connect(&database).await?).await?,
        Action::Plan {
            file,
            forbidden,
            output,
        } => {
            let forbidden = forbidden.roles();
            let proposed = read(&file, &forbidden)?;
            let plan = Plan {
                store: app::connect_to_read(&database).await?,
                forbidden: &forbidden,
                proposed: Some(&proposed),
                users: Users::All,
            };
            return plan.make(&output).await;
        }
        Action::Apply {
            file,
            force,
            forbidden,
            act,
        } => {
            let offered = read(&file, &forbidden.roles())?;
            let told =
                json!({"file": file.display().to_string(), "force": force, "version": offered.version});
            let act = act.act("rules apply", told);
            apply(&app::connect(&database).await?, &offered, force, &act).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a rules file.
pub(super) fn read(file: &Path, forbidden: &ForbiddenRoles) -> Result<Versioned> {
    let offered = rules_file::text(file).and_then(|text| forbidden.parse_rules(&text));
    offered.map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))
}

async fn apply(store: &Store, offered: &Versioned, force: bool, act: &Act) -> Result<()> {
    let before = match store.rules_in_force().await {
        Err(StoreError::RulesFormat(_)) => None,
        other => other?,
    };
    match store
        .offer_rules(offered, OfferedBy::Command { force }, Some(act))
        .await?
    {
        Verdict::PutInForce => {}
        Verdict::Same => {
            say!("nothing changed: these rules are in force");
            return Ok(());
        }
        Verdict::Refused(why) | Verdict::Left(why) => bail!("not put in force: {why}"),
    }
    let was = before
        .as_ref()
        .map_or_else(|| "none".to_owned(), |before| before.version.to_string());
    say!("version {} is in force, in place of {was}", offered.version);
    for line in changes(before.as_ref().map(|before| &before.rules), &offered.rules) {
        say!("  {line}");
    }
    say!(
        "it takes effect on all workers within seconds; affected users are found partition by partition (`rolekeeper rules show`)"
    );
    Ok(())
}

/// The rules in force; an error before the first worker has been started.
pub(super) async fn in_force(store: &Store) -> Result<InForce> {
    let in_force = store.rules_in_force().await?;
    in_force.context("no rules are in force: no worker has been started yet")
}

async fn show(store: &Store) -> Result<()> {
    let in_force = in_force(store).await?;
    let by = in_force.put_by.as_deref().unwrap_or("an earlier release");
    say!("# in force since {}, by {by}", moment(in_force.since));
    if in_force.version > 0 {
        say!("version = {}", in_force.version);
    }
    output::to_stdout(format_args!("{}", in_force.rules.canonical()));
    match store.walked().await? {
        Some(walked) if walked.changed => say!(
            "\n# users are being compared with a change since {}: {} {} done, up to {:?} (the last whole round had {})",
            moment(walked.requested_at),
            walked.partitions.0,
            noun(walked.partitions.0, "partition", "partitions"),
            walked.position,
            walked.partitions.1
        ),
        Some(walked) => say!(
            "\n# all users were compared with these rules ({} {})",
            walked.partitions.1,
            noun(walked.partitions.1, "partition", "partitions")
        ),
        None => {}
    }
    Ok(())
}
