//! `rolekeeper plan`, and the part of `rolekeeper rules plan` that is the same: who would gain or lose a role, and why.
//!
//! Owns the run, its exit codes, and that no half of a plan file remains. Must never change anything.

mod draft;
mod made;
mod output;
mod target;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::ask::id;
use super::interrupt::Interrupt;
use crate::app;
use crate::config::{DatabaseArgs, ForbiddenArgs};
use crate::flow::preview::Preview;
use crate::store::preview::Deployment;
use crate::store::{InForce, Store};
use draft::Draft;
use made::Made;
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::preview::file::{Header, Named, Proposed, VERSION};
use rolekeeper_domain::preview::{Previewed, Summary};
use rolekeeper_domain::rule::Versioned;
use target::Target;

/// Exit code of a plan with differences.
const DIFFERENCES: u8 = 2;
/// Users of an import that are compared at once.
const AT_ONCE: usize = 500;

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper plan
  rolekeeper plan --user 'auth0|6132829445244d0069782a78'
  rolekeeper plan -o today.plan
  rolekeeper apply today.plan --why \"checked\"

Exit code: 0 no difference, 1 error, or wrong arguments, 2 differences.";

/// Shows who would gain or lose a role under the rules in force, and why: a summary, then the first users of each kind. Reads only,
/// so a role of Postgres with SELECT alone is enough; it makes no call to Auth0.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    forbidden: ForbiddenArgs,
    /// One user alone; any id of a person with linked accounts
    #[arg(long, value_name = "USER_ID")]
    user: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// The output of a plan.
#[derive(Args, Clone, Debug)]
pub(super) struct OutputArgs {
    /// Write the plan to this file, for `rolekeeper apply`; it has the ids of the users
    #[arg(short = 'o', long = "output", value_name = "PLAN")]
    output: Option<PathBuf>,
    /// Show all changes, in place of the first of each kind
    #[arg(long)]
    all: bool,
    /// JSON, one object a line: the summary, then each shown change
    #[arg(long)]
    json: bool,
}

impl OutputArgs {
    /// Whether a plan file is asked for.
    pub(super) fn is_file(&self) -> bool {
        self.output.is_some()
    }

    /// Whether the output is JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }
}

/// A plan to make.
pub(super) struct Plan<'a> {
    pub(super) store: Store,
    pub(super) forbidden: &'a ForbiddenRoles,
    /// Rules to compare with those in force.
    pub(super) proposed: Option<&'a Versioned>,
    /// The users to compare.
    pub(super) users: Users<'a>,
}

/// The users of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) enum Users<'a> {
    /// All.
    All,
    /// One, by any id of the person.
    One(&'a str),
    /// The owners of the playlists of an import that is not released, by the hash of its file.
    OfImport(&'a str),
}

pub(super) async fn run(args: PlanArgs) -> Result<ExitCode> {
    let PlanArgs {
        database,
        forbidden,
        user,
        output,
    } = args;
    let database = database.checked()?;
    if let Some(user) = &user {
        id(user)?;
    }
    let plan = Plan {
        store: app::connect_to_read(&database).await?,
        forbidden: &forbidden.roles(),
        proposed: None,
        users: user.as_deref().map_or(Users::All, Users::One),
    };
    plan.make(&output).await
}

impl Plan<'_> {
    /// Makes the plan and shows it. A signal ends it soon, also while Postgres does not respond.
    pub(super) async fn make(&self, output: &OutputArgs) -> Result<ExitCode> {
        let made = Interrupt::bounds(Box::pin(self.made(output)), || ()).await?;
        made.unwrap_or_else(|| bail!("interrupted while Postgres did not respond: no plan was made"))
    }

    async fn made(&self, output: &OutputArgs) -> Result<ExitCode> {
        let target = output.output.as_deref().map(Target::checked).transpose()?;
        let mut interrupt = Interrupt::catch()?;
        let deployment = self.store.deployment().await?;
        let Some(in_force) = &deployment.in_force else {
            bail!("no rules are in force: no worker has been started yet");
        };
        let header = self.header(in_force, &deployment).await?;
        let (limits, paused) = (self.store.limits().await?, self.store.paused().await?);
        let mut draft = Draft::if_needed(target.as_ref(), output.all, &header)?;
        let summary = self.compare(in_force, draft.as_mut(), &mut interrupt).await?;
        let draft = draft.map(Draft::end).transpose()?;
        let kept = match (&target, &draft) {
            (Some(target), Some(draft)) => draft.keep(target).map(|()| Some(target.name()))?,
            _ => None,
        };
        let made = Made {
            header: &header,
            deployment: &deployment,
            in_force,
            proposed: self.proposed,
            summary: &summary,
            brake: limits.brake(),
            paused: paused.as_ref(),
            writes: limits.writes(),
            kept: kept.as_deref(),
        };
        output::show(&made, output.json, draft.filter(|_| output.all))?;
        Ok(if super::output::has_failed() {
            ExitCode::FAILURE
        } else if summary.users == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(DIFFERENCES)
        })
    }

    /// Compares the users, and adds them to the draft as they come.
    async fn compare(
        &self,
        in_force: &InForce,
        mut draft: Option<&mut Draft>,
        interrupt: &mut Interrupt,
    ) -> Result<Summary> {
        let rules = self.proposed.map_or(&in_force.rules, |proposed| &proposed.rules);
        let beside = self.proposed.map(|_| &in_force.rules);
        let mut preview = Preview::new(self.store.clone(), rules, beside, self.forbidden);
        let mut summary = Summary::default();
        let mut add = |previewed: &Previewed| -> Result<()> {
            summary.add(previewed);
            match (&mut draft, &previewed.changes) {
                (Some(draft), Some(changes)) => draft.add(changes),
                _ => Ok(()),
            }
        };
        if let Users::OfImport(source) = self.users {
            for persons in self.store.persons_of_import(source).await?.chunks(AT_ONCE) {
                for previewed in &preview.of(persons).await? {
                    add(previewed)?;
                }
                if interrupt.is_requested() {
                    bail!("interrupted: no plan was made");
                }
            }
            return Ok(summary);
        }
        if let Users::One(user) = self.users {
            let previewed = preview.user(user).await?.with_context(|| {
                format!(
                    "{user}: unknown: no playlist, role, pin or profile of this id is stored. Check the id, and put it in quotes: \
                     'auth0|6132829445244d0069782a78'"
                )
            })?;
            add(&previewed)?;
            return Ok(summary);
        }
        while let Some(users) = preview.next().await? {
            for previewed in &users {
                add(previewed)?;
            }
            if interrupt.is_requested() {
                bail!("interrupted: no plan was made");
            }
        }
        Ok(summary)
    }

    async fn header(&self, in_force: &InForce, deployment: &Deployment) -> Result<Header> {
        Ok(Header {
            rolekeeper_plan: VERSION,
            made_at: deployment.now,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            tenant: self.store.tenant().await?,
            in_force: Named {
                version: in_force.version,
                fingerprint: in_force.rules.fingerprint(),
            },
            proposed: self.proposed.map(|proposed| Proposed {
                version: proposed.version,
                canonical: proposed.rules.canonical(),
            }),
            user: match self.users {
                Users::One(user) => Some(user.to_owned()),
                Users::All | Users::OfImport(_) => None,
            },
            import: match self.users {
                Users::OfImport(source) => Some(source.to_owned()),
                Users::All | Users::One(_) => None,
            },
        })
    }
}
