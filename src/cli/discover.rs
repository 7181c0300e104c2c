//! `rolekeeper discover`: finds all users at Auth0 who hold a managed role.
//!
//! Owns the text of its result.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcDateTime};

use super::output::{self, remark};
use crate::app;
use crate::config::{ActArgs, DiscoveryArgs};
use crate::flow::discovery::Mode;
use crate::store::discovery::{DiscoveredRole, Discovery};
use rolekeeper_domain::plural::noun;

/// Duration of a run beyond which its result says when it was.
const LONG: time::Duration = time::Duration::hours(1);

/// Finds holders by searches at Auth0, or by a users export job where searches do not reach all. Stores them as unadopted
/// holders; writes nothing at Auth0. A run that was interrupted continues.
#[derive(Args, Debug)]
pub(super) struct DiscoverArgs {
    #[command(flatten)]
    settings: DiscoveryArgs,
    /// Begin again, although the last run is not complete
    #[arg(long)]
    again: bool,
    /// Use a users export job, and no searches
    #[arg(long)]
    export: bool,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: DiscoverArgs) -> Result<()> {
    let DiscoverArgs {
        settings,
        again,
        export,
        act,
    } = args;
    let mode = Mode {
        again,
        export,
        report: |line| remark!("{line}"),
    };
    let act = act.act("discover", json!({"again": again, "export": export}));
    let found = app::discover(settings.checked()?, mode, &act).await?;
    output::to_stdout(format_args!("{}", shown(&found)));
    Ok(())
}

fn shown(run: &Discovery) -> String {
    let mut text: String = run.roles.iter().map(of_role).collect();
    if run.unreadable > 0 {
        let _ = writeln!(
            text,
            "{} {} not counted",
            run.unreadable,
            noun(
                run.unreadable,
                "entry of Auth0's result could not be read as a user; it is",
                "entries of Auth0's result could not be read as users; they are"
            )
        );
    }
    if let Some(done_at) = run.done_at.filter(|done_at| *done_at - run.began_at > LONG) {
        let _ = writeln!(
            text,
            "the search took from {} to {}: a role that another client gave meanwhile may be known by the tenant's log alone",
            shown_time(run.began_at),
            shown_time(done_at)
        );
    }
    if run.roles.iter().any(|role| role.found.unadopted() > 0) {
        text.push_str(
            "The plays of all ids that a profile shows as linked count together. rolekeeper revokes no role from unadopted \
             holders; `rolekeeper adopt` changes that. The worker reads their profiles as the rate limit allows\n",
        );
    }
    text
}

/// Date and time to the second, in UTC.
fn shown_time(at: OffsetDateTime) -> String {
    let at = at.replace_nanosecond(0).unwrap_or(at);
    UtcDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}

fn of_role(role: &DiscoveredRole) -> String {
    let found = &role.found;
    let mut text = format!(
        "{}: {} {} the role at Auth0\n  {} ours: rolekeeper may revoke it\n  {} unadopted: {} would hold it by the rules, {} \
         would not\n",
        role.role,
        found.all(),
        noun(found.all(), "user holds", "users hold"),
        found.ours,
        found.unadopted(),
        found.earned,
        found.unearned
    );
    for (number, what) in [
        (
            found.unclear,
            "not clear: what is stored of the user or of a linked id says something else; the profile is read again",
        ),
        (found.erased, "erased: nothing is stored"),
    ] {
        if number > 0 {
            let _ = writeln!(text, "  {number} {what}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rolekeeper_domain::discovery::Found;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_result_says_what_was_found_of_each_role() {
        let found = Found {
            ours: 2,
            earned: 3,
            unearned: 4,
            unclear: 1,
            erased: 0,
        };
        let run = Discovery {
            exports: false,
            job: None,
            lines: 0,
            unreadable: 5,
            began_at: datetime!(2026-11-28 23:00:00 UTC),
            idle: std::time::Duration::ZERO,
            done_at: Some(datetime!(2026-11-29 01:30:00.5 UTC)),
            roles: vec![DiscoveredRole {
                role: "dj".to_owned(),
                position: None,
                found,
            }],
        };
        let text = shown(&run);
        for line in [
            "dj: 10 users hold the role at Auth0\n",
            "  2 ours",
            "  7 unadopted: 3 would hold it by the rules, 4 would not\n",
            "  1 not clear",
            "5 entries",
            "from 2026-11-28T23:00:00Z to 2026-11-29T01:30:00Z",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("erased"), "{text}");
    }
}
