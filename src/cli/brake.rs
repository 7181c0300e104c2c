//! `rolekeeper brake`: shows held changes, and releases or drops them.
//!
//! Owns that a mass of changes is written, or given up, only by an act of the operator.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::brake_release;
use super::output::say;
use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use crate::store::gone::GoneBrake;
use crate::store::{BrakeState, Drain, HeldKind, Store, UnderWay, Way};
use rolekeeper_domain::brake::word;
use rolekeeper_domain::plan::RoleChange;

/// The word for the brake on users unknown to Auth0.
const GONE: &str = "gone";

/// Shows the held changes; with a subcommand, releases or drops them, or engages a brake.
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
    /// Hold all changes of one kind from now on, until they are released or dropped
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

    fn held(self) -> HeldKind {
        match self {
            Self::Revokes => HeldKind::Changes(RoleChange::Revoked),
            Self::Grants => HeldKind::Changes(RoleChange::Granted),
            Self::Restores => HeldKind::Restores,
            Self::Removals => HeldKind::Removals,
        }
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
    match action {
        None => shown(&store, show).await,
        Some(Action::Release { changes, act }) => {
            let held = changes
                .changes()
                .map_or((HeldKind::Gone, GONE), |changes| (changes.held(), changes.word()));
            let act = act.act("brake release", json!({"changes": held.1}));
            brake_release::run(&store, held, (Way::Release, ""), &act).await
        }
        Some(Action::Engage { changes, act }) => {
            let change = match changes {
                Engaged::Revokes => RoleChange::Revoked,
                Engaged::Grants => RoleChange::Granted,
            };
            let what = word(change);
            let act = act.act("brake engage", json!({"changes": what}));
            if store.engage(change, &act).await? {
                say!(
                    "{what}: engaged; all {what} are held until `rolekeeper brake release {what}`; attempts in flight may still write"
                );
            } else {
                say!("{what}: engaged already");
            }
            Ok(())
        }
        Some(Action::Drop { changes, act }) => {
            let act = act.act("brake drop", json!({"changes": changes.word()}));
            let held = (changes.held(), changes.word());
            brake_release::run(&store, held, (Way::Drop, changes.dropped()), &act).await
        }
    }
}

async fn shown(store: &Store, show: u32) -> Result<()> {
    for changes in Changes::ALL {
        print(changes, &changes.state(store, show.into()).await?);
        print_under_way(store, changes.held(), changes.word()).await?;
    }
    print_gone(&store.gone_brake(show.into()).await?);
    print_under_way(store, HeldKind::Gone, GONE).await?;
    print_drain(&store.drain().await?);
    if let Some(paused) = store.paused().await? {
        let reason = paused.reason.as_deref().unwrap_or("no reason given");
        say!("paused since {}: {reason}", paused.since);
    }
    Ok(())
}

/// Prints how many users wait for an attempt, and how long that takes.
fn print_drain(drain: &Drain) {
    let users = drain.waiting;
    match drain.remaining() {
        _ if users == 0 => {}
        None => say!("{users} users wait for an attempt, and no attempt ended in the last minute"),
        Some(remaining) => say!(
            "{users} users wait for an attempt, {:.0} a minute are done, {} min remain at this rate",
            drain.ended_per_min,
            remaining.as_secs().div_ceil(60)
        ),
    }
}

/// Prints how far a release or a drop is that has not ended.
async fn print_under_way(store: &Store, held: HeldKind, what: &str) -> Result<()> {
    if let Some(UnderWay {
        drop,
        by,
        began_at,
        moved_at,
        users,
    }) = store.release_under_way(held).await?
    {
        let (command, past) = if drop {
            ("drop", "dropped")
        } else {
            ("release", "released")
        };
        say!(
            "  a {command} by {by} has begun at {began_at}: {users} users {past} so far, the last at {moved_at}. If that command \
             has ended, it was interrupted: rolekeeper brake {command} {what} continues it"
        );
    }
    Ok(())
}

fn print_gone(brake: &GoneBrake) {
    let Some(since) = brake.engaged_at else {
        say!("gone: not engaged");
        return;
    };
    let (users, known) = brake.counted.unwrap_or_default();
    say!(
        "gone: engaged since {since}, when Auth0 had reported {users} of {known} known users as unknown; {} held",
        brake.held
    );
    for user in &brake.first {
        say!("  {user}");
    }
    let rest = brake.held - i64::try_from(brake.first.len()).unwrap_or(i64::MAX);
    if rest > 0 {
        say!("  and {rest} more");
    }
    say!(
        "  rolekeeper brake release gone   reads these users again at Auth0, and marks the unknown ones as gone"
    );
}

fn print(changes: Changes, brake: &BrakeState) {
    let what = changes.word();
    let Some(since) = brake.engaged_at else {
        say!("{what}: not engaged");
        return;
    };
    let (users, holders) = brake.counted.unwrap_or_default();
    let of = match changes {
        Changes::Restores => String::new(),
        Changes::Revokes | Changes::Grants | Changes::Removals => format!(", of {holders} holders"),
    };
    say!(
        "{what}: engaged since {since}, when {users} users would have changed{of}; {} held, {} more wait",
        brake.held,
        brake.waiting
    );
    let sign = match changes {
        Changes::Grants => "+",
        Changes::Revokes | Changes::Removals => "-",
        // Each restored role has its own sign.
        Changes::Restores => "",
    };
    for (user, roles) in &brake.first {
        let roles: Vec<String> = roles.iter().map(|role| format!("{sign}{role}")).collect();
        say!("  {user}  {}", roles.join(" "));
    }
    let rest = brake.held - i64::try_from(brake.first.len()).unwrap_or(i64::MAX);
    if rest > 0 {
        say!("  and {rest} more");
    }
    say!("  rolekeeper brake release {what}   releases these; each is decided again");
    say!("  rolekeeper brake drop {what}      gives these up permanently");
}
