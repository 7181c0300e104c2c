//! `rolekeeper limits`: limits of writes at Auth0 that hold for all workers.
//!
//! Owns the output about limits, and that a change names its operator and its reason. Must never show a worker's own setting
//! as if it held for all workers.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::json;

use super::output::say;
use crate::app;
use crate::config::{DatabaseArgs, ReasonedArgs};
use crate::store::Store;
use rolekeeper_domain::limits::Limit;

/// Shows the limits that hold for all workers, and the limits that workers tighten by their own settings; `set` changes one.
#[derive(Args, Debug)]
pub(super) struct LimitsArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set a limit; it takes effect on all workers within seconds
    Set {
        /// The name of the limit, as `rolekeeper limits` shows it
        name: String,
        /// The new value: `on` or `off` for `writes`, else a number
        value: String,
        #[command(flatten)]
        act: ReasonedArgs,
    },
}

pub(super) async fn run(args: LimitsArgs) -> Result<()> {
    let LimitsArgs { database, action } = args;
    let store = app::connect(&database.checked()?).await?;
    match action {
        None => shown(&store).await,
        Some(Action::Set { name, value, act }) => {
            let names = || Limit::ALL.map(Limit::as_str).join(", ");
            let limit = Limit::named(&name)
                .with_context(|| format!("{name}: no such limit, expected one of {}", names()))?;
            let parsed = limit.parse(&value);
            let value =
                parsed.map_err(|expected| anyhow::anyhow!("{name}: got {value:?}, expected {expected}"))?;
            let act = act.act("limits set", json!({"name": name, "value": limit.show(value)}));
            store.set_limit(limit, value, &act).await?;
            say!(
                "{name} = {}: takes effect on all workers within seconds",
                limit.show(value)
            );
            Ok(())
        }
    }
}

async fn shown(store: &Store) -> Result<()> {
    let holds = store.limits().await?;
    for set in store.set_limits().await? {
        let (name, value) = (set.limit.as_str(), set.limit.show(set.value));
        let (by, why, at) = (set.set_by, set.why, set.set_at.date());
        say!("{name:<20} {value:<8} set on {at} by {by}: {why}");
    }
    for worker in store.workers_alive().await? {
        let effective = holds.tightened(&worker.own);
        let tightened = Limit::ALL
            .iter()
            .filter(|limit| (effective.get(**limit) - holds.get(**limit)).abs() > 0.0);
        for limit in tightened {
            let value = limit.show(effective.get(*limit));
            say!(
                "worker {} works with {} = {value}, by its own settings",
                worker.name,
                limit.as_str()
            );
        }
    }
    Ok(())
}
