//! `rolekeeper apply`: does what a plan says.
//!
//! Owns that nothing is done of a plan that is not whole, or not of these rules and this tenant, and of a stale one only with
//! `--partial`. Must never write a role: the worker does.

mod before;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::interrupt::Interrupt;
use super::output::say;
use super::plan_file::OpenPlan;
use crate::app;
use crate::config::{DatabaseArgs, ForbiddenArgs, ReasonedArgs};
use crate::flow::apply_plan::{Applied, Apply};
use crate::flow::import::release;
use crate::store::Store;
use before::{Before, proposed};
use rolekeeper_domain::explanation::plain;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::preview::Asked;
use rolekeeper_domain::preview::file::Header;

/// Exit code where a part of the plan was left out.
const PARTIAL: u8 = 2;

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper plan -o today.plan
  rolekeeper apply today.plan --why \"checked\"
  rolekeeper rules plan rules.toml -o new.plan
  rolekeeper apply new.plan --why \"lower threshold\"

Exit code: 0 applied, 1 refused, wrong arguments or another error, 2 applied in part with --partial.";

/// Applies a plan that `rolekeeper plan -o` or `rolekeeper rules plan -o` made: puts its proposed rules in force, and enqueues its
/// users, so that the worker reads each profile and makes the change that is still due. It is refused if the rules in force, or facts
/// of a user in the plan, have changed since. A plan of an import also lets the roles of all users of that import change. It is safe to
/// repeat after an interruption.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    forbidden: ForbiddenArgs,
    /// The plan file
    plan: PathBuf,
    /// Apply what is still valid, and leave out users whose facts have changed; not for a plan of an import
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    act: ReasonedArgs,
}

pub(super) async fn run(args: ApplyArgs) -> Result<ExitCode> {
    let ended = Interrupt::bounds(Box::pin(apply(args)), || ()).await?;
    ended.unwrap_or_else(|| {
        bail!(
            "interrupted while Postgres did not respond: a part of the plan may be done. Run the command again, which is safe"
        )
    })
}

async fn apply(args: ApplyArgs) -> Result<ExitCode> {
    let ApplyArgs {
        database,
        forbidden,
        plan: path,
        partial,
        act,
    } = args;
    let database = database.checked()?;
    let mut interrupt = Interrupt::catch()?;
    let file = OpenPlan::open(&path)?;
    let (header, users) = file.whole()?;
    let forbidden = forbidden.roles();
    let proposed = proposed(&header, &forbidden).with_context(|| file.name())?;
    let proposed = proposed.as_ref();
    let store = app::connect(&database).await?;
    let before = Before::read(&store, &header, proposed)
        .await
        .with_context(|| file.name())?;
    check_import(&store, &header).await.with_context(|| file.name())?;
    let rules = before.rules(proposed);
    let told = json!({
        "plan": file.name(), "made_at": header.made(), "users": users, "partial": partial, "rules": rules.fingerprint(),
    });
    let act = act.act("apply", told);
    let plan = Apply::new(store.clone(), rules, &forbidden, before.decided_since);
    let mut found = Applied::default();
    let compared = file.slices(&mut interrupt, async |slice| {
        Ok(plan.compare(slice, &mut found).await?)
    });
    compared.await.context("nothing was done")?;
    if interrupt.is_requested() {
        bail!("nothing was done: interrupted");
    }
    if found.stale > 0 && header.import.is_some() {
        bail!(
            "{}: nothing was done, since the facts of {} of {users} {} of the import have changed since the plan was made: {}. Run \
             `rolekeeper import` again with the same file, which makes the plan again: --partial would end the hold of these users too",
            file.name(),
            found.stale,
            noun(users, "user", "users"),
            named(&found)
        );
    }
    if found.stale > 0 && !partial {
        bail!(
            "{}: nothing was done, since the facts of {} of {users} {} have changed since the plan was made: {}. Make the plan \
             again, or apply what is still valid with --partial",
            file.name(),
            found.stale,
            noun(users, "user", "users"),
            named(&found)
        );
    }
    let decided_since = before.put_in_force(&store, proposed, &act).await?;
    if let Some(source) = &header.import {
        let asked = Asked {
            rules,
            in_force: None,
            forbidden: &forbidden,
        };
        let users = release(&store, &asked, source, &act, |_| ()).await;
        let users = users.context("run the command again, which is safe")?;
        say!("users of the import whose roles are no longer held: {users}");
    }
    let plan = Apply::new(store.clone(), rules, &forbidden, decided_since);
    let (mut applied, mut seen) = (Applied::default(), 0);
    let enqueued = file.slices(&mut interrupt, async |slice| {
        seen += slice.len() as u64;
        let last = (seen == users).then_some(&act);
        Ok(plan.enqueue(slice, &mut applied, last).await?)
    });
    let enqueued = enqueued.await;
    enqueued.with_context(|| {
        let users = applied.valid;
        format!("users enqueued so far: {users}; run the command again, which is safe")
    })?;
    said(&applied, partial)
}

/// Refuses the plan of an import that has not ended: the counts would change behind it.
async fn check_import(store: &Store, header: &Header) -> Result<()> {
    let Some(source) = &header.import else {
        return Ok(());
    };
    match store.import(source).await? {
        Some(import) if import.ended_at.is_some() => Ok(()),
        Some(import) => bail!(
            "nothing was done: the import of {} has not ended. Run `rolekeeper import` again with the same file, which makes the plan \
             again",
            plain(&import.file)
        ),
        None => bail!("line 1: import: this database has no import of a file with this hash"),
    }
}

/// Says what was done; returns the exit code.
fn said(applied: &Applied, partial: bool) -> Result<ExitCode> {
    let Applied {
        valid, done, stale, ..
    } = applied;
    say!("users enqueued: {valid}; the worker reads each profile, and makes the change that is still due");
    if *done > 0 {
        say!(
            "users whose changes were made before, or decided otherwise after a read of the profile: {done}"
        );
    }
    if *stale == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let left = format!(
        "users left out: {stale}, since their facts have changed since the plan was made: {}",
        named(applied)
    );
    if !partial {
        bail!(
            "{left}. It happened while the plan was applied; all other users are done. Make a plan again for these"
        );
    }
    say!("{left}");
    Ok(ExitCode::from(PARTIAL))
}

/// The first stale users.
fn named(applied: &Applied) -> String {
    let mut names = applied.first_stale.join(", ");
    if applied.stale > applied.first_stale.len() as u64 {
        names.push_str(", …");
    }
    names
}
