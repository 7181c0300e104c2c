//! `rolekeeper apply`: does what a plan says.
//!
//! Owns that nothing is done of a plan that is not whole, or not of these rules and this tenant, and of a stale one only with
//! `--partial`. Must never write a role: the worker does.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::interrupt::Interrupt;
use super::output::say;
use super::plan_file::OpenPlan;
use crate::app;
use crate::config::{ByArgs, DatabaseArgs, ForbiddenArgs};
use crate::flow::apply_plan::{Applied, Apply};
use crate::store::Store;
use rolekeeper_domain::act::Act;
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::preview::file::Header;
use rolekeeper_domain::rule::offer::Verdict;
use rolekeeper_domain::rule::{Rules, Versioned};

/// Exit code where a part of the plan was left out.
const PARTIAL: u8 = 2;

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper plan -o today.plan
  rolekeeper apply today.plan --why \"checked\"
  rolekeeper rules plan rules.toml -o new.plan
  rolekeeper apply new.plan --why \"lower threshold\"

Exit code: 0 applied, 1 refused or another error, 2 applied in part with --partial, or wrong arguments.";

/// Applies a plan that `rolekeeper plan -o` or `rolekeeper rules plan -o` made: puts its proposed rules in force, and enqueues its
/// users, so that the worker reads each profile and makes the change that is still due. It is refused if the rules in force, or facts
/// of a user in the plan, have changed since. It is safe to repeat after an interruption.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    forbidden: ForbiddenArgs,
    /// The plan file
    plan: PathBuf,
    /// Apply what is still valid, and leave out users whose facts have changed
    #[arg(long)]
    partial: bool,
    /// The reason; stored with the act, see `rolekeeper acts`
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    why: String,
    #[command(flatten)]
    by: ByArgs,
}

pub(super) async fn run(args: ApplyArgs) -> Result<ExitCode> {
    let ApplyArgs {
        database,
        forbidden,
        plan: path,
        partial,
        why,
        by,
    } = args;
    let database = database.checked()?;
    let mut interrupt = Interrupt::catch()?;
    let file = OpenPlan::open(&path)?;
    let (header, users) = file.whole()?;
    let proposed = proposed(&header, &forbidden.roles()).with_context(|| file.name())?;
    let store = app::connect(&database).await?;
    let before = Before::read(&store, &header, proposed.as_ref())
        .await
        .with_context(|| file.name())?;
    let rules = proposed
        .as_ref()
        .map_or(&before.in_force, |proposed| &proposed.rules);
    let told = json!({
        "plan": file.name(), "made_at": moment(header.made_at), "users": users, "partial": partial, "rules": rules.fingerprint(),
    });
    let act = by.act("apply", told, Some(why));
    let plan = Apply::new(store.clone(), rules);
    let mut found = Applied::default();
    let compared = file.slices(&mut interrupt, async |slice| {
        Ok(plan.compare(slice, &mut found).await?)
    });
    compared.await.context("nothing was done")?;
    if found.stale > 0 && !partial && !before.is_done {
        bail!(
            "{}: nothing was done, since the facts of {} of {users} users have changed since the plan was made: {}. Make the plan \
             again, or apply what is still valid with --partial",
            file.name(),
            found.stale,
            named(&found)
        );
    }
    if let Some(proposed) = &proposed {
        if before.is_done {
            say!("version {} is in force already", proposed.version);
        } else {
            put_in_force(&store, &header, proposed, &act).await?;
        }
    }
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
    Ok(said(&applied))
}

/// The proposed rules of the plan.
fn proposed(header: &Header, forbidden: &ForbiddenRoles) -> Result<Option<Versioned>> {
    let Some(proposed) = &header.proposed else {
        return Ok(None);
    };
    let parsed = forbidden.parse_rules(&proposed.canonical);
    let parsed = parsed.map_err(|why| anyhow!("line 1: proposed.canonical: {why}"))?;
    Ok(Some(Versioned {
        version: proposed.version,
        rules: parsed.rules,
    }))
}

/// The state before the plan is applied.
struct Before {
    in_force: Rules,
    /// The proposed rules are in force: an earlier run was interrupted, or had ended.
    is_done: bool,
}

impl Before {
    /// Reads it, and refuses a plan of another tenant, or of other rules.
    async fn read(store: &Store, header: &Header, proposed: Option<&Versioned>) -> Result<Self> {
        let tenant = store.tenant().await?;
        if let (Some(planned), Some(bound)) = (&header.tenant, &tenant)
            && planned != bound
        {
            bail!("line 1: tenant: the plan is of the tenant {planned}, and the database belongs to {bound}");
        }
        let in_force = store.rules_in_force().await?;
        let in_force = in_force.context("no rules are in force: no worker has been started yet")?;
        let (version, now) = (in_force.version, in_force.rules.fingerprint());
        let is_done = proposed.is_some_and(|one| one.version == version && one.rules.fingerprint() == now);
        if now != header.in_force.fingerprint && !is_done {
            bail!(
                "nothing was done, since the rules in force have changed since the plan was made: version {} then, {version} now. Make \
                 the plan again",
                header.in_force.version
            );
        }
        Ok(Self {
            in_force: in_force.rules,
            is_done,
        })
    }
}

async fn put_in_force(store: &Store, header: &Header, proposed: &Versioned, act: &Act) -> Result<()> {
    let before = &header.in_force;
    match store
        .offer_planned_rules(proposed, &before.fingerprint, act)
        .await?
    {
        Verdict::PutInForce | Verdict::Same => {}
        Verdict::Refused(why) | Verdict::Left(why) => bail!("nothing was done: not put in force: {why}"),
    }
    say!(
        "version {} is in force, in place of {}; it takes effect on all workers within seconds, and all users are compared with it",
        proposed.version,
        before.version
    );
    Ok(())
}

/// Says what was done; returns the exit code.
fn said(applied: &Applied) -> ExitCode {
    let Applied {
        valid, done, stale, ..
    } = applied;
    say!("users enqueued: {valid}; the worker reads each profile, and makes the change that is still due");
    if *done > 0 {
        say!("users whose changes were made before: {done}");
    }
    if *stale == 0 {
        return ExitCode::SUCCESS;
    }
    say!(
        "users left out: {stale}, since their facts have changed since the plan was made: {}",
        named(applied)
    );
    ExitCode::from(PARTIAL)
}

/// The first stale users.
fn named(applied: &Applied) -> String {
    let mut names = applied.first_stale.join(", ");
    if applied.stale > applied.first_stale.len() as u64 {
        names.push_str(", …");
    }
    names
}
