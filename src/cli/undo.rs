//! `rolekeeper undo`: what reverses an act, a role change or a plan.
//!
//! Owns which way back there is. Must never change anything: it prints a plan for `rolekeeper apply`, or the commands.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use uuid::Uuid;

use super::interrupt::Interrupt;
use super::output::{remark, say};
use super::plan::{OutputArgs, Plan, Users};
use super::plan_file::OpenPlan;
use super::rules;
use crate::app;
use crate::config::{DatabaseArgs, ForbiddenArgs};
use crate::store::{RulesChange, Store};
use rolekeeper_domain::brake::word;
use rolekeeper_domain::explanation::{moment, plain, quoted};
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::rule::Versioned;

/// Exit code where there is something to undo.
const DIFFERENCES: u8 = 2;

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper undo 41 -o back.plan
  rolekeeper apply back.plan --why \"the new threshold was a mistake\"
  rolekeeper undo 01938f6e-6c1d-7c3a-9d3e-2f1b6f0c9a11

Exit code: 0 nothing to undo, 1 error, or wrong arguments, 2 there is something to undo.";

/// Shows how to reverse what was done, and changes nothing. A change of rules is reversed by the former rules under a higher version:
/// a plan, which `rolekeeper apply` does; a release of a brake by engaging the brake again; a role change by a pin. Rules, plans and role
/// changes that were replaced since are refused.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct UndoArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    forbidden: ForbiddenArgs,
    /// The number of an act (`rolekeeper acts`), the id of a role change (`rolekeeper evidence`, `rolekeeper explain --json`), or a plan
    /// file that was applied
    #[arg(value_name = "ACT|CHANGE|PLAN")]
    what: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// One step back by a command.
struct Step {
    how: String,
    command: String,
}

pub(super) async fn run(args: UndoArgs) -> Result<ExitCode> {
    let UndoArgs {
        database,
        forbidden,
        what,
        output,
    } = args;
    let undo = Undo {
        store: app::connect_to_read(&database.checked()?).await?,
        forbidden: forbidden.roles(),
        output,
    };
    let ended = Interrupt::bounds(Box::pin(undo.named(&what)), || ()).await?;
    ended.unwrap_or_else(|| bail!("interrupted while Postgres did not respond: nothing was changed"))
}

struct Undo {
    store: Store,
    forbidden: ForbiddenRoles,
    output: OutputArgs,
}

impl Undo {
    async fn named(&self, what: &str) -> Result<ExitCode> {
        if let Ok(number) = what.parse() {
            return self.act(number).await;
        }
        if let Ok(id) = Uuid::parse_str(what) {
            return self.steps(&[self.change(id).await?]);
        }
        let file = OpenPlan::open(Path::new(what))
            .context("expected the number of an act, the id of a role change, or the path of a plan file")?;
        self.plan(&file).await
    }

    async fn act(&self, number: i64) -> Result<ExitCode> {
        let act = self.store.act_to_undo(number).await?;
        let act =
            act.with_context(|| format!("act {number}: unknown; `rolekeeper acts` shows the numbers"))?;
        if let Some(change) = self.store.rules_change(number).await? {
            return self.rules(&change).await;
        }
        let changes = act.arguments["changes"].as_str().unwrap_or_default();
        let kinds = [RoleChange::Granted, RoleChange::Revoked].map(word);
        match act.command.as_str() {
            "brake release" if kinds.contains(&changes) => self.steps(&[Step {
                how: format!(
                    "act {number} released the brake on {changes} at {}. It can be engaged again: from then on all {changes} are held; the \
                     changes that were written meanwhile stay",
                    moment(act.at)
                ),
                command: format!("rolekeeper brake engage {changes} --why 'undo of act {number}'"),
            }]),
            "apply" => bail!("act {number} enqueued the users of a plan: name the plan file, or the act that put its rules in force"),
            "rules apply" => bail!("act {number}: the rules before it are not stored: an earlier release put them in force"),
            command => bail!(
                "act {number} is {}: only changes of rules and releases of the brakes on grants and revokes can be undone",
                plain(format!("{command} {changes}").trim_end())
            ),
        }
    }

    /// The former rules under a higher version.
    async fn rules(&self, change: &RulesChange) -> Result<ExitCode> {
        let in_force = rules::in_force(&self.store).await?;
        let version = change.version;
        if change.replaced || in_force.rules.fingerprint() != change.fingerprint {
            bail!(
                "the rules of version {version} are no longer in force (version {} is): undo what put that in force, or write a rules file",
                in_force.version
            );
        }
        let Some((former, canonical)) = &change.former else {
            bail!("version {version} are the first rules that were put in force: there are none before");
        };
        let parsed = self.forbidden.parse_rules(canonical);
        let proposed = Versioned {
            version: in_force.version + 1,
            rules: parsed
                .map_err(|why| anyhow!("the rules of version {former}: {why}"))?
                .rules,
        };
        remark!(
            "The rules of version {former}, which were in force before version {version}, reverse it as version {}.",
            proposed.version
        );
        let plan = Plan {
            store: self.store.clone(),
            forbidden: &self.forbidden,
            proposed: Some(&proposed),
            users: Users::All,
        };
        let code = plan.make(&self.output).await?;
        // The rules differ, also where no user does.
        Ok(if code == ExitCode::SUCCESS {
            DIFFERENCES.into()
        } else {
            code
        })
    }

    async fn plan(&self, file: &OpenPlan<'_>) -> Result<ExitCode> {
        let (header, users) = file.whole()?;
        if let Some(proposed) = &header.proposed {
            let parsed = self.forbidden.parse_rules(&proposed.canonical);
            let rules = parsed
                .map_err(|why| anyhow!("{}: line 1: proposed.canonical: {why}", file.name()))?
                .rules;
            self.was_applied(file, &header.made(), &rules.fingerprint())
                .await?;
            let change = self.store.rules_change_to(&rules.fingerprint()).await?;
            let change = change.filter(|change| change.version == proposed.version);
            let change = change.with_context(|| {
                format!(
                    "{}: its rules (version {}) were never put in force: nothing to undo",
                    file.name(),
                    proposed.version
                )
            })?;
            return self.rules(&change).await;
        }
        if users > 0 {
            self.was_applied(file, &header.made(), &header.in_force.fingerprint)
                .await?;
        }
        let in_force = self.store.rules_in_force().await?;
        let now = in_force.map(|now| now.rules.fingerprint());
        if now.as_ref() != Some(&header.in_force.fingerprint) {
            bail!(
                "{}: the rules in force have changed since the plan was made, so its changes are not those of now. Undo single changes \
                 by their ids",
                file.name()
            );
        }
        let (mut steps, mut interrupt) = (Vec::new(), Interrupt::catch()?);
        let made = file.slices(&mut interrupt, async |users| {
            let ids: Vec<String> = users.iter().map(|user| user.user.clone()).collect();
            let held = self.store.roles_held_by(&ids).await?;
            for user in users {
                for change in &user.changes {
                    let key = (user.user.clone(), change.role.clone());
                    let granted = change.change == RoleChange::Granted;
                    if held.contains(&key) == granted {
                        let why = format!("undo of {}", file.name());
                        steps.push(self.pinned((&user.user, &change.role), !granted, "The plan", &why)?);
                    }
                }
            }
            Ok(())
        });
        made.await?;
        self.steps(&steps)
    }

    /// Refuses a plan that was never applied: its changes, if they are made, have another cause.
    async fn was_applied(&self, file: &OpenPlan<'_>, made: &str, rules: &str) -> Result<()> {
        if self.store.plan_was_applied(made, rules).await? {
            return Ok(());
        }
        bail!(
            "{}: this plan was never applied to its end, so there is nothing to undo. If an `apply` was interrupted, run it again first, \
             which is safe. To undo what was done without the plan, name the act (`rolekeeper acts`) or the role change (`rolekeeper \
             evidence`)",
            file.name()
        )
    }

    /// The pin that reverses a role change.
    async fn change(&self, id: Uuid) -> Result<Step> {
        let change = self.store.change_to_undo(id).await?;
        let change = change.with_context(|| format!("{id}: no role change has this id"))?;
        let (user, role) = (plain(&change.user), plain(&change.role));
        let granted = match change.change.as_str() {
            "granted" => true,
            "revoked" => false,
            other => {
                bail!("{id}: {other} by another client, or restored for one: rolekeeper did not decide it")
            }
        };
        let Some(at) = change.completed_at else {
            bail!("{id}: the change of {role} for {user} was not made: nothing to undo");
        };
        if change.replaced {
            bail!("{id}: a later change of {role} for {user} was decided since: undo that one");
        }
        if user.starts_with("erased:") {
            bail!("{id}: the user was erased");
        }
        let what = format!("Role change {id}, completed at {},", moment(at));
        self.pinned(
            (&change.user, &change.role),
            !granted,
            &what,
            &format!("undo of role change {id}"),
        )
    }

    fn pinned(&self, (user, role): (&str, &str), on: bool, what: &str, why: &str) -> Result<Step> {
        if on && self.forbidden.has(role) {
            bail!(
                "{}: FORBIDDEN_ROLES lists this role, so it is never granted, by no pin either",
                plain(role)
            );
        }
        let (verb, word) = if on { ("revoked", "on") } else { ("granted", "off") };
        Ok(Step {
            how: format!(
                "{what} {verb} {}: {}. A pin reverses it, passes the brakes, and stands until `rolekeeper unpin`",
                plain(user),
                plain(role)
            ),
            command: format!(
                "rolekeeper pin {} {} {word} --why {}",
                quoted(user),
                quoted(role),
                quoted(why)
            ),
        })
    }

    /// Prints the steps.
    fn steps(&self, steps: &[Step]) -> Result<ExitCode> {
        if self.output.is_file() {
            bail!("-o: this is undone by commands, not by a plan: run without it");
        }
        for Step { how, command } in steps {
            if self.output.is_json() {
                say!("{}", json!({"how": how, "command": command}));
            } else {
                say!("{how}:\n  {}", plain(command));
            }
        }
        if steps.is_empty() {
            remark!("none of these changes is made: nothing to undo");
            return Ok(ExitCode::SUCCESS);
        }
        Ok(DIFFERENCES.into())
    }
}
