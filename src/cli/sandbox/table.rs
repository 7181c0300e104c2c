//! The table: what happened, for somebody who has never seen this program.
//!
//! Owns wording and columns; at most 100 characters a line. Must never judge: that is for the checks.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::checks::{Check, is_about};
use super::evidence::Evidence;
use super::logs;
use super::world::{BURST, PER_SECOND};
use crate::sandbox::tenant::Endpoint;
use crate::sandbox::traffic::cast::USERS;
use crate::sandbox::traffic::database::Change;

/// Rows shown of a list of users.
const ROWS: usize = 10;

/// One user whose role changed, as the audit has it.
struct Row<'a> {
    user: &'a str,
    plays: i64,
    /// From the play to the role, seconds.
    after: f64,
    /// Of that, the wait for its turn, seconds.
    waited: f64,
    other_roles: Vec<&'a str>,
}

/// Prints everything.
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
            thousands(tally.repeats)
        ),
    )?;
    line(&mut out, "taken back afterwards", &thousands(tally.taken_back))?;
    line(
        &mut out,
        "counted in the end",
        &format!(
            "{} = {} - {}",
            signed(counted),
            thousands(tally.plays),
            thousands(tally.taken_back)
        ),
    )?;
    line(&mut out, "set aside, unreadable", &reasons(evidence))?;
    changes(&mut out, evidence, true)?;
    changes(&mut out, evidence, false)?;
    left_alone(&mut out, evidence, checks)?;
    calls(&mut out, evidence)?;
    tenant_log(&mut out, evidence)?;
    verdict(&mut out, evidence, checks)?;
    Ok(out)
}

fn heading(out: &mut String, text: &str) -> fmt::Result {
    writeln!(out, "\n{text}")
}

fn line(out: &mut String, name: &str, value: &str) -> fmt::Result {
    writeln!(out, "  {name:<30}{value}")
}

/// `not_json 1, unknown_type 2`, of the plays.
fn reasons(evidence: &Evidence) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &evidence.kept.set_aside {
        if one.stream == crate::sandbox::traffic::stream::APP_EVENTS {
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

/// Who got the role, or lost it.
fn changes(out: &mut String, evidence: &Evidence, up: bool) -> fmt::Result {
    let crossings = evidence.tally.crossings.iter().filter(|one| one.up == up);
    let mut rows: Vec<Row<'_>> = crossings
        .filter_map(|crossing| {
            let mut lines = evidence.kept.changes.iter();
            row(evidence, lines.find(|line| is_about(line, crossing))?)
        })
        .collect();
    let what = if up {
        "Who got the role playlist_editor, at 100 plays of a playlist"
    } else {
        "Who lost it after plays were taken back"
    };
    heading(out, &format!("{what}: {} users", rows.len()))?;
    if rows.is_empty() {
        return Ok(());
    }
    let spread = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        let (half, most) = (of[(of.len() - 1) / 2], of[of.len() - 1]);
        format!("half within {half:.2} s, all within {most:.2} s")
    };
    let from = if up {
        "from the play"
    } else {
        "from the last one taken back"
    };
    line(
        out,
        &format!("{from} to the role"),
        &spread(rows.iter().map(|row| row.after).collect()),
    )?;
    line(
        out,
        "  of that, waiting in turn",
        &format!(
            "{} (the tenant's rate limit)",
            spread(rows.iter().map(|row| row.waited).collect())
        ),
    )?;
    writeln!(
        out,
        "\n  {:<36}{:>6}{:>10}{:>10}   other roles",
        "user", "plays", "after", "waiting"
    )?;
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    for row in &rows {
        writeln!(
            out,
            "  {:<36}{:>6}{:>8.2} s{:>8.2} s   {}",
            shortened(row.user, 34),
            row.plays,
            row.after,
            row.waited,
            shortened(&row.other_roles.join(" "), 31),
        )?;
    }
    if more > 0 {
        writeln!(out, "  and {more} more")?;
    }
    Ok(())
}

fn row<'a>(evidence: &'a Evidence, line: &'a Change) -> Option<Row<'a>> {
    let after = (line.completed_at? - line.event_stored_at?).as_seconds_f64();
    Some(Row {
        user: &line.user_id,
        plays: line.plays,
        after,
        // A user who was due before the play, for a login, waits for the play only from then on.
        waited: (line.queued_ms as f64 / 1000.0).min(after),
        other_roles: evidence.others.roles(&line.user_id),
    })
}

fn left_alone(out: &mut String, evidence: &Evidence, checks: &[Check]) -> fmt::Result {
    let figures = |what: &str| {
        let check = checks.iter().find(|check| check.what.starts_with(what));
        check.map_or("", |check| &check.figures).to_owned()
    };
    heading(out, "Left alone")?;
    line(
        out,
        "other roles and settings",
        &format!("{} still have them all, in order", figures("other roles")),
    )?;
    let old = format!(
        "{} hold the role from before and have no plays: {}",
        evidence.old_editors.len(),
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
            "Calls to the tenant, which takes {BURST:.0} at once and {PER_SECOND:.0} a second: {}",
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
        "to get to know users",
        &format!(
            "{} reads ({} users the tenant does not know)",
            reads.saturating_sub(writes),
            evidence.answered(404)
        ),
    )?;
    line(out, "for a token", &tokens.to_string())?;
    line(
        out,
        "turned away (429)",
        &format!(
            "{}; at least {:.0} of {BURST:.0} calls were left for others at any time",
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
            "{} records, {} different: {} stored, {} read, {} set aside, {} lost",
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
        &format!("{}; the tenant was asked for {}", fate.named, fate.asked_for),
    )?;
    for one in fate.set_aside.iter().take(ROWS) {
        line(
            out,
            "  set aside",
            &shortened(&format!("{}: {}", one.reason, one.detail), 66),
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
        writeln!(out, "  {:<8}time is up, still missing: {late}", "FAILED")?;
    }
    let failed = checks.iter().filter(|check| !check.holds).count() + usize::from(evidence.late.is_some());
    match failed {
        0 => writeln!(out, "\nAll {} checks hold.", checks.len()),
        _ => writeln!(out, "\n{failed} of the checks FAILED."),
    }
}

/// The text, its middle left out where it is longer than `most` characters.
fn shortened(text: &str, most: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= most {
        return text.to_owned();
    }
    let head = (most - 1) / 2;
    let tail = most - 1 - head;
    let part = |chars: &[char]| chars.iter().collect::<String>();
    format!("{}…{}", part(&chars[..head]), part(&chars[chars.len() - tail..]))
}

fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", thousands(number.unsigned_abs()))
}

/// `20,000`
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_easy_to_read() {
        let grouped = [0, 7, 999, 1_000, 20_000, 1_234_567].map(thousands);
        assert_eq!(grouped, ["0", "7", "999", "1,000", "20,000", "1,234,567"]);
        assert_eq!(signed(-1_500), "-1,500");
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 10), "abcd…ghijk");
    }
}
