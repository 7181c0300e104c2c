//! `rolekeeper brake`: shows held changes, and releases or drops them.
//!
//! Owns that a mass of changes is written, or given up, only by an act of the operator.

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use crate::store::gone::GoneBrake;
use crate::store::{BrakeState, Store};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::brake::{GONE_WINDOW, word};
use rolekeeper_domain::plan::RoleChange;

/// Shows the held changes; with a subcommand, releases or drops them.
#[derive(Args, Debug)]
pub(super) struct BrakeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Most held users to show of each kind
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32))]
    show: u32,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Release held changes: each is decided again, and a change that is still due is written
    Release {
        /// The kind of changes
        #[arg(value_enum)]
        changes: Held,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Give up held changes permanently: holders keep the role until `adopt`; users must qualify again for a dropped grant
    Drop {
        /// The kind of changes
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
    /// Roles that other clients removed, under `manual = "respect"`
    Removals,
    /// Users unknown to Auth0
    Gone,
}

impl Held {
    /// Returns the kind of held changes; none for users unknown to Auth0, where no role changes.
    fn changes(self) -> Option<Changes> {
        match self {
            Self::Revokes => Some(Changes::Revokes),
            Self::Grants => Some(Changes::Grants),
            Self::Restores => Some(Changes::Restores),
            Self::Removals => Some(Changes::Removals),
            Self::Gone => None,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Changes {
    Revokes,
    Grants,
    Restores,
    Removals,
}

impl Changes {
    const ALL: [Self; 4] = [Self::Revokes, Self::Grants, Self::Restores, Self::Removals];

    fn word(self) -> &'static str {
        match self {
            Self::Revokes => word(RoleChange::Revoked),
            Self::Grants => word(RoleChange::Granted),
            Self::Restores => "restores",
            Self::Removals => "removals",
        }
    }

    async fn state(self, store: &Store, show: i64) -> Result<BrakeState> {
        Ok(match self {
            Self::Revokes => store.brake(RoleChange::Revoked, show).await?,
            Self::Grants => store.brake(RoleChange::Granted, show).await?,
            Self::Restores => store.restores_brake(show).await?,
            Self::Removals => store.removals_brake(show).await?,
        })
    }

    async fn release(self, store: &Store, act: &Act) -> Result<Option<u64>> {
        Ok(match self {
            Self::Revokes => store.release_brake(RoleChange::Revoked, act).await?,
            Self::Grants => store.release_brake(RoleChange::Granted, act).await?,
            Self::Restores => store.release_restores(act).await?,
            Self::Removals => store.release_removals(act).await?,
        })
    }

    async fn drop(self, store: &Store, act: &Act) -> Result<Option<u64>> {
        Ok(match self {
            Self::Revokes => store.drop_braked(RoleChange::Revoked, act).await?,
            Self::Grants => store.drop_braked(RoleChange::Granted, act).await?,
            Self::Restores => store.drop_restores(act).await?,
            Self::Removals => store.drop_removals(act).await?,
        })
    }

    fn dropped(self) -> &'static str {
        match self {
            Self::Revokes => "they keep the role and rolekeeper does not revoke it until `rolekeeper adopt`",
            Self::Grants => "they do not get the role until they fall below the threshold and qualify again",
            Self::Restores => "the roles of other clients stay as they are; add a missing role by hand",
            Self::Removals => "the roles that other clients removed are granted again",
        }
    }
}

pub(super) async fn run(args: BrakeArgs) -> Result<()> {
    let BrakeArgs {
        database,
        show,
        action,
    } = args;
    let store = app::connect(&database.checked()?).await?;
    let (changes, done) = match action {
        None => return shown(&store, show).await,
        Some(Action::Release { changes, act }) => {
            let Some(changes) = changes.changes() else {
                let act = act.act("brake release", json!({"changes": "gone"}));
                return release_gone(&store, &act).await;
            };
            let act = act.act("brake release", json!({"changes": changes.word()}));
            // Waiting users without an attempt so far are not held yet.
            let wait = changes.state(&store, 0).await?.waiting;
            let released = changes.release(&store, &act).await?;
            (changes, released.map(|users| released_text(users, wait)))
        }
        Some(Action::Drop { changes, act }) => {
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

/// Returns the text about users who were waiting, but not held, when a brake is dropped.
fn not_held(wait: i64) -> String {
    if wait > 0 {
        format!(
            "; {wait} waiting users were not held and are not given up: their changes count again, and are held above the limit"
        )
    } else {
        String::new()
    }
}

fn released_text(users: u64, wait: i64) -> String {
    let more = if wait > 0 {
        format!(
            "; {wait} waiting users were not held: their changes count again, and are held above the limit. To allow more changes \
             at once: rolekeeper limits set"
        )
    } else {
        String::new()
    };
    format!(
        "{users} users released: each is decided again, and a change that is still due is written as the rate limit allows{more}"
    )
}

async fn release_gone(store: &Store, act: &Act) -> Result<()> {
    match store.release_gone(GONE_WINDOW, act).await? {
        Some(users) => println!(
            "gone: {users} users released: each is read again at Auth0, and users unknown to Auth0 are marked as gone"
        ),
        None => bail!("gone: the brake is not engaged, no user is held"),
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
        "gone: engaged since {since}, when Auth0 had reported {users} of {known} known users as unknown; {} held",
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
        "  rolekeeper brake release gone   reads these users again at Auth0, and marks the unknown ones as gone"
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
        Changes::Revokes | Changes::Grants | Changes::Removals => format!(", of {holders} holders"),
    };
    println!(
        "{what}: engaged since {since}, when {users} users would have changed{of}; {} held, {} more wait",
        brake.held, brake.waiting
    );
    let sign = match changes {
        Changes::Grants => "+",
        Changes::Revokes | Changes::Removals => "-",
        // Each restored role has its own sign.
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
    println!("  rolekeeper brake release {what}   releases these; each is decided again");
    println!("  rolekeeper brake drop {what}      gives these up permanently");
}
