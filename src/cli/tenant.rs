//! `rolekeeper tenant`: the Auth0 tenant that the database belongs to.
//!
//! Owns that a database is moved to another tenant only by an act of the operator.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::output::say;
use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use crate::store::TenantMove;
use rolekeeper_domain::plural::noun;

/// Shows the tenant; `move` changes it.
#[derive(Args, Debug)]
pub(super) struct TenantArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Move the database to another tenant: every holder of a role is unadopted and unverified from then on. Stop all workers
    /// first
    Move {
        /// The canonical domain, as in the audience of the Management API: tenant.eu.auth0.com, not a custom domain
        #[arg(long, value_name = "DOMAIN")]
        to: String,
        /// Move the database; without this flag the command only prints what it would do
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        act: ActArgs,
    },
}

pub(super) async fn run(args: TenantArgs) -> Result<()> {
    let TenantArgs { database, action } = args;
    let store = app::connect(&database.checked()?).await?;
    let bound = store.tenant().await?;
    let Some(Action::Move { to, yes, act }) = action else {
        match bound {
            Some(domain) => say!("{domain}"),
            None => say!(
                "the database belongs to no tenant yet; the first worker that gets a token binds it to its tenant"
            ),
        }
        return Ok(());
    };
    let to = to.trim().to_ascii_lowercase();
    if to.is_empty() || to.contains(['/', '@', ' ', '?', '#']) {
        bail!("--to {to:?}: expected a domain such as tenant.eu.auth0.com");
    }
    if bound.as_deref() == Some(&to) {
        bail!("the database already belongs to {to}");
    }
    let from = bound.as_deref().unwrap_or("no tenant");
    if !yes {
        bail!(
            "would move the database from {from} to {to}: no role is revoked from a holder until `rolekeeper adopt`, or until \
             the user qualifies for it; repeat with --yes to move it"
        );
    }
    let act = act.act("tenant move", json!({"from": bound, "to": to}));
    match store.move_tenant(&to, &act).await? {
        TenantMove::Done(assignments) => say!(
            "moved from {from} to {to}: {assignments} {} unadopted and unverified; each is read again as the rate \
             limit allows",
            noun(assignments, "assignment is", "assignments are")
        ),
        TenantMove::Reconciling => bail!("a worker is reconciling: stop all workers first, then move"),
        TenantMove::Discovering => {
            bail!("`rolekeeper discover` is running: wait for its end or interrupt it, then move")
        }
    }
    Ok(())
}
