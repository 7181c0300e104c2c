//! `rolekeeper brake`: what is held, and what becomes of it.
//!
//! Owns that a mass of changes goes on, or is given up, only because a person said so.

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use crate::store::gone::GoneBrake;
use crate::store::{BrakeState, Store};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::brake::{GONE_WINDOW, word};
use rolekeeper_domain::plan::Change;

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

#[derive(Debug, Subcommand)]
enum Deed {
    /// Let those held pass: each is decided anew, and what is still due is written
    Release {
        /// Which changes
        #[arg(value_enum)]
        changes: Held,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Give up for good what is held: holders keep the role until `adopt`; grants must be earned anew
    Drop {
        /// Which changes
        #[arg(value_enum)]
        changes: Changes,
        #[command(flatten)]
        act: ActArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Held {
    Revokes,
    Grants,
    Restores,
    /// Users whom Auth0 does not know
    Gone,
}

impl Held {
    /// The changes that are held; none for users, who are not changed.
    fn changes(self) -> Option<Changes> {
        match self {
            Self::Revokes => Some(Changes::Revokes),
            Self::Grants => Some(Changes::Grants),
            Self::Restores => Some(Changes::Restores),
            Self::Gone => None,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Changes {
    Revokes,
    Grants,
    Restores,
}

impl Changes {
    const ALL: [Self; 3] = [Self::Revokes, Self::Grants, Self::Restores];

    fn word(self) -> &'static str {
        match self {
            Self::Revokes => word(Change::Revoked),
            Self::Grants => word(Change::Granted),
            Self::Restores => "restores",
        }
    }

    async fn state(self, store: &Store, show: i64) -> Result<BrakeState> {
        Ok(match self {
            Self::Revokes => store.brake(Change::Revoked, show).await?,
            Self::Grants => store.brake(Change::Granted, show).await?,
            Self::Restores => store.restores_brake(show).await?,
        })
    }

    async fn release(self, store: &Store, act: &Act) -> Result<Option<u64>> {
        Ok(match self {
            Self::Revokes => store.release_brake(Change::Revoked, act).await?,
            Self::Grants => store.release_brake(Change::Granted, act).await?,
            Self::Restores => store.release_restores(act).await?,
        })
    }

    async fn drop(self, store: &Store, act: &Act) -> Result<Option<u64>> {
        Ok(match self {
            Self::Revokes => store.drop_braked(Change::Revoked, act).await?,
            Self::Grants => store.drop_braked(Change::Granted, act).await?,
            Self::Restores => store.drop_restores(act).await?,
        })
    }

    fn dropped(self) -> &'static str {
        match self {
            Self::Revokes => "they keep the role and are left alone until `rolekeeper adopt`",
            Self::Grants => "they do not get the role until they fall below the line and earn it anew",
            Self::Restores => {
                "the roles of other clients stay as they are; correct them by hand where one is missing"
            }
        }
    }
}

pub(super) async fn run(args: BrakeArgs) -> Result<()> {
    let BrakeArgs { database, show, deed } = args;
    let store = app::connect(&database.checked()?).await?;
    let (changes, done) = match deed {
        None => return shown(&store, show).await,
        Some(Deed::Release { changes, act }) => {
            let Some(changes) = changes.changes() else {
                let act = act.act("brake release", json!({"changes": "gone"}));
                return release_gone(&store, &act).await;
            };
            let act = act.act("brake release", json!({"changes": changes.word()}));
            // Who waits and was not looked at is not among the held.
            let wait = changes.state(&store, 0).await?.waiting;
            let released = changes.release(&store, &act).await?;
            (changes, released.map(|users| released_text(users, wait)))
        }
        Some(Deed::Drop { changes, act }) => {
            let act = act.act("brake drop", json!({"changes": changes.word()}));
            let wait = changes.state(&store, 0).await?.waiting;
            let dropped = changes.drop(&store, &act).await?;
            let left = changes.dropped();
            let more = not_held(wait);
            (
                changes,
                dropped.map(|users| format!("{users} users dropped: {left}{more}")),
            )
        }
    };
    match done {
        Some(done) => println!("{}: {done}", changes.word()),
        None => bail!("{}: the brake is not engaged, nothing is held", changes.word()),
    }
    Ok(())
}

/// What is said of users who wait and were not held when a brake is dropped.
fn not_held(wait: i64) -> String {
    if wait > 0 {
        format!(
            "; {wait} more wait that were not held, and are not given up: they count anew, and beyond the limit they are held"
        )
    } else {
        String::new()
    }
}

fn released_text(users: u64, wait: i64) -> String {
    let more = if wait > 0 {
        format!(
            "; {wait} more wait that were not held: they count anew, and beyond the limit they are held again. To let more pass at \
             once: rolekeeper limits set"
        )
    } else {
        String::new()
    };
    format!(
        "{users} users released: each is decided anew, and what is still due is written as the rate limit allows{more}"
    )
}

async fn release_gone(store: &Store, act: &Act) -> Result<()> {
    match store.release_gone(GONE_WINDOW, act).await? {
        Some(users) => println!(
            "gone: {users} users released: Auth0 is asked for each again, and those it does not know are marked as gone"
        ),
        None => bail!("gone: the brake is not engaged, nobody is held"),
    }
    Ok(())
}

async fn shown(store: &Store, show: u32) -> Result<()> {
    for changes in Changes::ALL {
        print(changes, &changes.state(store, show.into()).await?);
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

fn print(changes: Changes, brake: &BrakeState) {
    let what = changes.word();
    let Some(since) = brake.engaged_at else {
        println!("{what}: not engaged");
        return;
    };
    let (users, holders) = brake.counted.unwrap_or_default();
    let of = match changes {
        Changes::Restores => String::new(),
        Changes::Revokes | Changes::Grants => format!(", of {holders} holders"),
    };
    println!(
        "{what}: engaged since {since}, when {users} users would have changed{of}; {} held, {} more wait",
        brake.held, brake.waiting
    );
    let sign = match changes {
        Changes::Grants => "+",
        Changes::Revokes => "-",
        // Each role has its own.
        Changes::Restores => "",
    };
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
