//! `rolekeeper brake`: what is held, and what becomes of it.
//!
//! Owns that a mass of changes goes on, or is given up, only because a person said so.

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};

use crate::app;
use crate::config::DatabaseArgs;
use crate::domain::brake::{GONE_WINDOW, word};
use crate::domain::plan::Change;
use crate::store::gone::GoneBrake;
use crate::store::{BrakeState, Store};

/// Shows what is held, unless told what to do with it.
#[derive(Args, Debug)]
pub(super) struct BrakeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Held users shown of each kind
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32))]
    show: u32,
    #[command(subcommand)]
    deed: Option<Deed>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Deed {
    /// Let those held pass: each is decided anew, and what is still due is written
    Release {
        /// Which changes
        #[arg(value_enum)]
        changes: Held,
    },
    /// Give up for good what is held: holders keep the role until `adopt`; grants must be earned anew
    Drop {
        /// Which changes
        #[arg(value_enum)]
        changes: Changes,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Held {
    Revokes,
    Grants,
    /// Users whom Auth0 does not know
    Gone,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Changes {
    Revokes,
    Grants,
}

impl From<Changes> for Change {
    fn from(changes: Changes) -> Self {
        match changes {
            Changes::Revokes => Self::Revoked,
            Changes::Grants => Self::Granted,
        }
    }
}

pub(super) async fn run(args: BrakeArgs) -> Result<()> {
    let BrakeArgs { database, show, deed } = args;
    let store = app::store(&database.checked()?)?;
    let (change, done) = match deed {
        None => return shown(&store, show).await,
        Some(Deed::Release { changes: Held::Gone }) => return release_gone(&store).await,
        Some(Deed::Release { changes }) => {
            let change = Change::to(matches!(changes, Held::Grants));
            let released = store.release_brake(change).await?;
            (change, released.map(|users| {
                format!("{users} users released: each is decided anew, and what is still due is written as the rate limit allows")
            }))
        }
        Some(Deed::Drop { changes }) => {
            let dropped = store.drop_braked(changes.into()).await?;
            let left = match changes {
                Changes::Revokes => "they keep the role and are left alone until `rolekeeper adopt`",
                Changes::Grants => "they do not get the role until they fall below the line and earn it anew",
            };
            (
                Change::from(changes),
                dropped.map(|users| format!("{users} users dropped: {left}")),
            )
        }
    };
    match done {
        Some(done) => println!("{}: {done}", word(change)),
        None => bail!("{}: the brake is not engaged, nothing is held", word(change)),
    }
    Ok(())
}

async fn release_gone(store: &Store) -> Result<()> {
    match store.release_gone(GONE_WINDOW).await? {
        Some(users) => println!(
            "gone: {users} users released: Auth0 is asked for each again, and those it does not know are marked as gone"
        ),
        None => bail!("gone: the brake is not engaged, nobody is held"),
    }
    Ok(())
}

async fn shown(store: &Store, show: u32) -> Result<()> {
    for change in [Change::Revoked, Change::Granted] {
        print(change, &store.brake(change, show.into()).await?);
    }
    print_gone(&store.gone_brake(show.into()).await?);
    if let Some(paused) = store.paused().await? {
        let reason = paused.reason.as_deref().unwrap_or("no reason given");
        println!("paused since {}: {reason}", paused.since);
    }
    Ok(())
}

fn print_gone(brake: &GoneBrake) {
    let Some(since) = brake.engaged_at else {
        println!("gone: not engaged");
        return;
    };
    let (users, known) = brake.counted.unwrap_or_default();
    println!(
        "gone: engaged since {since}, when Auth0 had said of {users} users that it does not know them, of {known} known; {} held",
        brake.held
    );
    for user in &brake.first {
        println!("  {user}");
    }
    let rest = brake.held - i64::try_from(brake.first.len()).unwrap_or(i64::MAX);
    if rest > 0 {
        println!("  and {rest} more");
    }
    println!(
        "  rolekeeper brake release gone   asks Auth0 for these again, and marks those it does not know"
    );
}

fn print(change: Change, brake: &BrakeState) {
    let what = word(change);
    let Some(since) = brake.engaged_at else {
        println!("{what}: not engaged");
        return;
    };
    let (changes, holders) = brake.counted.unwrap_or_default();
    println!(
        "{what}: engaged since {since}, when {changes} users would have changed, of {holders} holders; {} held, {} more wait",
        brake.held, brake.waiting
    );
    let sign = if change == Change::Granted { '+' } else { '-' };
    for (user, roles) in &brake.first {
        let roles: Vec<String> = roles.iter().map(|role| format!("{sign}{role}")).collect();
        println!("  {user}  {}", roles.join(" "));
    }
    let rest = brake.held - i64::try_from(brake.first.len()).unwrap_or(i64::MAX);
    if rest > 0 {
        println!("  and {rest} more");
    }
    println!("  rolekeeper brake release {what}   lets these pass; each is decided anew");
    println!("  rolekeeper brake drop {what}      gives them up for good");
}
