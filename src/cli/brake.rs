//! `rolekeeper brake`: shows held changes, and releases or drops them.
//!
//! Owns that a mass of changes is written, or given up, only by an act of the operator.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::brake_release;
use super::output::{self, say};
use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use crate::flow::brakes::brakes;
use crate::store::{BrakeEngaged, Store, Way};
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::view::brakes::{Brake, Brakes, Drain, Kind};

/// Shows the held changes; with a subcommand, releases or drops them, or engages a brake.
#[derive(Args, Debug)]
pub(super) struct BrakeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Most held users to show of each kind
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32))]
    show: u32,
    /// One JSON object with all that is shown
    #[arg(long)]
    json: bool,
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
    /// Hold all changes of one kind from now on, until they are released or dropped; stops a release or drop that is under way
    Engage {
        /// The kind of changes
        #[arg(value_enum)]
        changes: Engaged,
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

/// The kinds of changes that an operator can hold.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engaged {
    Revokes,
    Grants,
}

impl Held {
    fn kind(self) -> Kind {
        match self {
            Self::Revokes => Kind::Revokes,
            Self::Grants => Kind::Grants,
            Self::Restores => Kind::Restores,
            Self::Removals => Kind::Removals,
            Self::Gone => Kind::Gone,
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
    fn kind(self) -> Kind {
        match self {
            Self::Revokes => Kind::Revokes,
            Self::Grants => Kind::Grants,
            Self::Restores => Kind::Restores,
            Self::Removals => Kind::Removals,
        }
    }
}

pub(super) async fn run(args: BrakeArgs) -> Result<()> {
    let BrakeArgs {
        database,
        show,
        json,
        action,
    } = args;
    let store = app::connect(&database.checked()?).await?;
    let (kind, way, act) = match action {
        None => {
            let brakes = brakes(&store, show.into(), None).await?;
            if json {
                output::json(&brakes)?;
            } else {
                shown(&brakes);
            }
            return Ok(());
        }
        Some(Action::Engage { changes, act }) => return engage(&store, changes, &act).await,
        Some(Action::Release { changes, act }) => (changes.kind(), Way::Release, act),
        Some(Action::Drop { changes, act }) => (changes.kind(), Way::Drop, act),
    };
    let act = act.act(way.command(), json!({"changes": kind.word()}));
    brake_release::run(&store, kind, way, &act).await
}

async fn engage(store: &Store, changes: Engaged, act: &ActArgs) -> Result<()> {
    let (change, what) = match changes {
        Engaged::Revokes => (RoleChange::Revoked, Kind::Revokes.word()),
        Engaged::Grants => (RoleChange::Granted, Kind::Grants.word()),
    };
    let act = act.act("brake engage", json!({"changes": what}));
    match store.engage(change, &act).await? {
        BrakeEngaged::Now => say!(
            "{what}: engaged; all {what} are held until `rolekeeper brake release {what}`; attempts in flight may still write"
        ),
        BrakeEngaged::Before => say!("{what}: engaged already"),
        BrakeEngaged::Stays(stopped) => {
            let (command, past) = stopped.words();
            say!(
                "{what}: engaged already, and stays so: the {command} by {}, begun at {}, is stopped; {} {} {past} before {} so",
                stopped.by,
                moment(stopped.began_at),
                stopped.users,
                noun(stopped.users, "user", "users"),
                noun(stopped.users, "stays", "stay")
            );
        }
    }
    Ok(())
}

fn shown(brakes: &Brakes) {
    for brake in &brakes.brakes {
        print(brake);
    }
    print_drain(&brakes.drain);
    if let Some(paused) = &brakes.paused {
        let reason = paused.reason.as_deref().unwrap_or("no reason given");
        say!("paused since {}: {reason}", moment(paused.since));
    }
}

/// Prints how many users wait for an attempt, and how long that takes.
fn print_drain(drain: &Drain) {
    let users = drain.waiting;
    let waits = noun(users, "user waits", "users wait");
    match drain.remaining_s {
        _ if users == 0 => {}
        None => say!("{users} {waits} for an attempt, and no attempt ended in the last minute"),
        Some(remaining) => say!(
            "{users} {waits} for an attempt, {:.0} a minute are done, {} min remain at this rate",
            drain.ended_per_min,
            remaining.div_ceil(60)
        ),
    }
}

fn print(brake: &Brake) {
    let what = brake.changes.word();
    say!("{what}: {}", brake.sentence());
    if brake.engaged_at.is_some() {
        for held in &brake.first {
            say!("  {}  {}", held.user_id, brake.changes_of(held));
        }
        if let Some(rest) = brake.rest() {
            say!("  and {rest} more");
        }
        let released = match brake.changes {
            Kind::Gone => "reads these users again at Auth0, and marks the unknown ones as gone",
            _ => "releases these; each is decided again",
        };
        say!("  rolekeeper brake release {what}   {released}");
        if brake.changes.dropped().is_some() {
            say!("  rolekeeper brake drop {what}      gives these up permanently");
        }
    }
    if let Some(under_way) = &brake.under_way {
        let (command, past) = under_way.words();
        say!(
            "  a {command} by {} has begun at {}: {} {} {past} so far, the last at {}. If that command has ended, it was \
             interrupted: rolekeeper brake {command} {what} continues it",
            under_way.by,
            moment(under_way.began_at),
            under_way.users,
            noun(under_way.users, "user", "users"),
            moment(under_way.moved_at)
        );
    }
}
