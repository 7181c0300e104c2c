//! `rolekeeper brake release` and `rolekeeper brake drop`: the held changes are released or dropped, slice by slice.
//!
//! Owns the report of what was done, also where the command is interrupted. Must never end in the middle of a slice because
//! of a signal.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::interrupt::Interrupt;
use super::output::{remark, say};
use crate::flow::brakes::held_kind;
use crate::store::{HeldKind, Release, Step, Store, Way};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::view::brakes::Kind;

/// Time between two lines about the progress.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Releases or drops all held changes of one kind.
pub(super) async fn run(store: &Store, kind: Kind, way: Way, act: &Act) -> Result<()> {
    let (held, what) = (held_kind(kind), kind.word());
    let Some(mut release) = store.begin_release(held, way, act).await? else {
        bail!("{what}: the brake is not engaged, nothing is held");
    };
    if release.users > 0 {
        let (past, before) = (way.past(), release.users);
        let were = noun(before, "user was", "users were");
        remark!("{what}: {before} {were} {past} by a command that was interrupted; this one continues");
    }
    let (mut interrupt, mut reported) = (Interrupt::catch()?, Instant::now());
    loop {
        let step = store.release_slice(&mut release).await;
        match step.with_context(|| so_far(&release, what))? {
            Step::More => {}
            Step::Ended => break,
            Step::TakenOver => bail!(
                "{}; another `rolekeeper brake` command has taken over",
                so_far(&release, what)
            ),
        }
        if interrupt.is_requested() {
            bail!("{}", so_far(&release, what));
        }
        if reported.elapsed() >= REPORT_EVERY {
            let users = noun(release.users, "user", "users");
            remark!("{what}: {} {users} {} so far", release.users, way.past());
            reported = Instant::now();
        }
    }
    let more = match held {
        HeldKind::Changes(change) => not_held(store, change).await?,
        HeldKind::Restores | HeldKind::Removals | HeldKind::Gone => String::new(),
    };
    say!("{what}: {}{more}", done(kind, &release));
    Ok(())
}

/// Returns the text for a command that ends early.
fn so_far(release: &Release, what: &str) -> String {
    let (users, past) = (release.users, release.way.past());
    if release.brake_has_ended() {
        let are = noun(users, "user is", "users are");
        return format!("{what}: interrupted, but {users} {are} {past} and the brake is released");
    }
    let again = release.way.command();
    let were = noun(users, "user was", "users were");
    format!(
        "{what}: interrupted after {users} {were} {past}. The brake is still engaged and holds the others. To continue: \
         rolekeeper {again} {what}"
    )
}

/// Returns the text for a command that has done all.
fn done(kind: Kind, release: &Release) -> String {
    let (users, past) = (release.users, release.way.past());
    let left = match release.way {
        Way::Release => kind.released(),
        Way::Drop => kind.dropped().unwrap_or_default(),
    };
    format!("{users} {} {past}: {left}", noun(users, "user", "users"))
}

/// Returns the text about users who wait for an attempt and were not held: their changes count from now on.
async fn not_held(store: &Store, change: RoleChange) -> Result<String> {
    let waiting = store.not_released(change).await?;
    if waiting == 0 {
        return Ok(String::new());
    }
    let limits = store.limits().await?.brake();
    let limit = limits.of(change).enough(Some(store.holders(change).await?)) - 1;
    let held_again = match waiting - limit {
        more @ 1.. => format!("if all of them still change, {more} are held again"),
        _ => "alone they are not held again".to_owned(),
    };
    Ok(format!(
        "; {waiting} {} not held: these changes count again, and are held above the limit. It is {limit} {} \
         inside {} s, so {held_again}. To allow more changes at once: rolekeeper limits set",
        noun(waiting, "waiting user was", "waiting users were"),
        noun(limit, "user", "users"),
        limits.window.as_secs()
    ))
}
