//! `rolekeeper adopt`: adopts users who held a role before rolekeeper was deployed.
//!
//! Owns that this happens on purpose only: a user is adopted only by name or with `--all-known`.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::output::say;
use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use crate::store::Store;
use rolekeeper_domain::byte_order_mark::without_mark;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::plural::noun;

/// Most user ids from the command line that the recorded act lists.
const NAMED_AT_MOST: usize = 100;

/// Adopts users: from then on, rolekeeper revokes the role from them when the rules require it.
#[derive(Args, Debug)]
pub(super) struct AdoptArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The role, as the rules name it
    #[arg(long, default_value = "playlist_editor")]
    role: String,
    /// A user to adopt; may be repeated
    #[arg(long = "user", value_name = "USER_ID")]
    users: Vec<String>,
    /// A file with one user id per line, or - for standard input
    #[arg(long, value_name = "FILE")]
    users_file: Option<String>,
    /// All users who were seen to hold the role and are not adopted yet
    #[arg(long, conflicts_with_all = ["users", "users_file"])]
    all_known: bool,
    /// Adopt holders of a role that no rule in force names: the role is revoked from them once a rule requires it
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: AdoptArgs) -> Result<()> {
    let AdoptArgs {
        database,
        role,
        mut users,
        users_file,
        all_known,
        force,
        act,
    } = args;
    let database = database.checked()?;
    let typed = &users[..users.len().min(NAMED_AT_MOST)];
    let mut arguments = json!({"role": role, "users": typed, "users_file": users_file, "all_known": all_known, "force": force});
    if let Some(path) = users_file {
        users.extend(read(&path)?);
    }
    if users.is_empty() && !all_known {
        bail!("no user is named: give --user, --users-file or --all-known");
    }
    for user in &users {
        UserId::parse(user.as_str())
            .map_err(|expected| anyhow::anyhow!("user \"{}\": {expected}", user.escape_debug()))?;
    }
    users.sort_unstable();
    users.dedup();
    let named = (!all_known).then_some(users.as_slice());
    arguments["named"] = users.len().into();
    let act = act.act("adopt", arguments);
    let store = app::connect(&database).await?;
    if !force {
        known(&store, &role).await?;
    }
    let adopted = store.adopt(&role, named, &act).await?;
    say!(
        "{adopted} {} adopted for {role}; each is reconciled next, and loses the role if the rules require it",
        noun(adopted, "user", "users")
    );
    Ok(())
}

/// Refuses a role that no rule in force names: most likely a typing error. Before the first rules are in force, any role is
/// accepted.
async fn known(store: &Store, role: &str) -> Result<()> {
    let Some(in_force) = store.rules_in_force().await? else {
        return Ok(());
    };
    let roles: Vec<&str> = in_force
        .rules
        .as_slice()
        .iter()
        .map(|rule| rule.role.as_str())
        .collect();
    if roles.contains(&role) {
        return Ok(());
    }
    bail!(
        "--role {role}: no rule in force names this role, so no user is adopted; the rules name: {}. For a role that a rule \
         will name later: --force",
        roles.join(", ")
    )
}

fn read(path: &str) -> Result<Vec<String>> {
    let text = if path == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.with_context(|| format!("--users-file {path}"))?;
    let lines = without_mark(&text).lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
