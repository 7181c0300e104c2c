//! The table of results, for a reader who does not know this program.
//!
//! Owns order and wording. Must never judge: the checks do.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::changes::changes;
use super::check::Check;
use super::evidence::Evidence;
use super::logs;
use super::text::{TEXT, cut, heading, line, signed, thousands};
use super::world::{BURST, PER_SECOND};
use rolekeeper_sandbox::tenant::Endpoint;
use rolekeeper_sandbox::traffic::cast::USERS;
use rolekeeper_sandbox::traffic::stream::APP_EVENTS;

/// Most dead letters of a file that are listed.
const SET_ASIDE: usize = 10;

/// Returns the whole table as text.
pub(super) fn table(evidence: &Evidence, checks: &[Check]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let tally = &evidence.tally;
    let seconds = evidence.took.as_secs();
    writeln!(
        out,
        "\nrolekeeper sandbox: {USERS} users, seed {}, {seconds} s",
        evidence.seed
    )?;
    heading(&mut out, "Plays")?;
    let counted: i64 = evidence.kept.playlists.values().sum();
    line(
        &mut out,
        "published",
        &format!(
            "{} plays of {} playlists; {} of them sent twice",
            thousands(tally.plays),
            thousands(tally.playlists.len() as u64),
            thousands(tally.duplicates)
        ),
    )?;
    line(&mut out, "retracted afterwards", &thousands(tally.taken_back))?;
    line(
        &mut out,
        "counted at the end",
        &format!(
            "{} = {} - {}",
            signed(counted),
            thousands(tally.plays),
            thousands(tally.taken_back)
        ),
    )?;
    line(&mut out, "unreadable, dead letters", &reasons(evidence))?;
    changes(&mut out, evidence, true)?;
    changes(&mut out, evidence, false)?;
    left_alone(&mut out, checks)?;
    calls(&mut out, evidence)?;
    tenant_log(&mut out, evidence)?;
    verdict(&mut out, evidence, checks)?;
    Ok(out)
}

/// Returns the reasons of dead letters of plays, such as `not_json 1, unknown_type 2`.
fn reasons(evidence: &Evidence) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &evidence.kept.set_aside {
        if one.stream == APP_EVENTS {
            *reasons.entry(&one.reason).or_default() += 1;
        }
    }
    let total: usize = reasons.values().sum();
    let reasons: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    format!("{total} messages ({})", reasons.join(", "))
}

fn left_alone(out: &mut String, checks: &[Check]) -> fmt::Result {
    let figures = |what: &str| {
        let check = checks.iter().find(|check| check.what.starts_with(what));
        check.map_or("", |check| &check.figures).to_owned()
    };
    heading(out, "Not changed")?;
    line(
        out,
        "other roles and settings",
        &format!("{} still have all of them, in order", figures("other roles")),
    )?;
    let old = format!(
        "have the role from before, no plays: {}",
        figures("editors from before")
    );
    line(out, "old editors", &old)
}

fn calls(out: &mut String, evidence: &Evidence) -> fmt::Result {
    let [tokens, reads, writes] = [Endpoint::Token, Endpoint::ReadUser, Endpoint::PatchUser]
        .map(|endpoint| evidence.calls_to(endpoint));
    let changes = evidence.tally.crossings.len().max(1) as f64;
    heading(
        out,
        &format!(
            "Calls to the tenant, which accepts {BURST:.0} at once and {PER_SECOND:.0} a second: {}",
            tokens + reads + writes
        ),
    )?;
    line(
        out,
        "for role changes",
        &format!(
            "{} = {writes} reads + {writes} writes, {:.1} a change",
            2 * writes,
            2.0 * writes as f64 / changes
        ),
    )?;
    line(
        out,
        "to read new users",
        &format!(
            "{} reads; {} found no such user",
            reads.saturating_sub(writes),
            evidence.answered(404)
        ),
    )?;
    line(out, "for a token", &tokens.to_string())?;
    line(
        out,
        "refused (429)",
        &format!(
            "{}; at least {:.0} of {BURST:.0} calls were always left for other clients",
            evidence.answered(429),
            evidence.fewest_left()
        ),
    )
}

fn tenant_log(out: &mut String, evidence: &Evidence) -> fmt::Result {
    heading(out, "The tenant's log")?;
    line(
        out,
        "through the webhook",
        &format!(
            "{} records, up to 4 s late, out of order, {} of them twice",
            evidence.logged.len(),
            evidence.deliveries.saturating_sub(evidence.logged.len())
        ),
    )?;
    let Some(file) = &evidence.file else {
        return Ok(());
    };
    let fate = logs::fate(evidence, file);
    line(
        out,
        "from the file",
        &format!(
            "{} records under {} ids: {} stored, {} read, {} dead letters, {} lost",
            fate.records,
            fate.distinct,
            fate.stored,
            fate.read,
            fate.set_aside.len(),
            fate.distinct - fate.stored
        ),
    )?;
    line(
        out,
        "  users who logged in there",
        &format!("{}; the worker read {} at the tenant", fate.named, fate.asked_for),
    )?;
    for one in fate.set_aside.iter().take(SET_ASIDE) {
        line(
            out,
            "  dead letter",
            &cut(&format!("{}: {}", one.reason, one.detail), TEXT),
        )?;
    }
    Ok(())
}

fn verdict(out: &mut String, evidence: &Evidence, checks: &[Check]) -> fmt::Result {
    heading(out, "Checks, each against the sandbox's own count")?;
    for check in checks {
        let result = if check.holds { "ok" } else { "FAILED" };
        writeln!(out, "  {result:<8}{:<51}{}", check.what, check.figures)?;
    }
    if let Some(late) = &evidence.late {
        writeln!(
            out,
            "  {:<8}the time limit was reached, still missing: {late}",
            "FAILED"
        )?;
    }
    let failed = checks.iter().filter(|check| !check.holds).count() + usize::from(evidence.late.is_some());
    match failed {
        0 => writeln!(out, "\nAll {} checks hold.", checks.len()),
        _ => writeln!(out, "\n{failed} of the checks FAILED."),
    }
}
