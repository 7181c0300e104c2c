//! The users who got the role or lost it, row by row.
//!
//! Owns the selection of the shown users: the first ones, and the slowest of the others. Times come from the audit; a check
//! compares them with the stream's and the tenant's times.

use std::fmt::{self, Write as _};

use super::checks::is_about;
use super::evidence::Evidence;
use super::text::{cut, heading, line, shortened};
use rolekeeper_sandbox::traffic::database::Change;

const FIRST: usize = 5;
const SLOWEST: usize = 5;

/// One user whose role changed, from the audit.
struct Row<'a> {
    user: &'a str,
    plays: i64,
    /// Seconds from the play to the role.
    after: f64,
    /// Seconds of these that the user waited in the queue.
    waited: f64,
    other_roles: Vec<&'a str>,
}

/// Writes the users who got the role, or lost it.
pub(super) fn changes(out: &mut String, evidence: &Evidence, up: bool) -> fmt::Result {
    let crossings = evidence.tally.crossings.iter().filter(|one| one.up == up);
    let rows: Vec<Row<'_>> = crossings
        .filter_map(|crossing| {
            let mut lines = evidence.kept.changes.iter();
            row(evidence, lines.find(|line| is_about(line, crossing))?)
        })
        .collect();
    let changed = evidence.written().iter().filter(|one| one.up == up).count();
    let (what, from) = if up {
        (
            "Users who got the role playlist_editor, at 100 plays of a playlist",
            "from the play to the role",
        )
    } else {
        (
            "Users who lost it after plays were retracted",
            "from retraction to revoke",
        )
    };
    heading(out, &format!("{what}: {changed} users"))?;
    if rows.is_empty() {
        return Ok(());
    }
    let spread = |of: fn(&Row<'_>) -> f64| {
        let mut seconds: Vec<f64> = rows.iter().map(of).collect();
        seconds.sort_by(f64::total_cmp);
        let (half, most) = (seconds[(seconds.len() - 1) / 2], seconds[seconds.len() - 1]);
        format!("half within {half:.2} s, all within {most:.2} s")
    };
    let waiting = format!("{}, for the tenant's rate limit", spread(|row| row.waited));
    line(out, from, &spread(|row| row.after))?;
    line(out, "  of that, in the queue", &waiting)?;
    writeln!(
        out,
        "\n  {:<36}{:>6}{:>10}{:>10}   other roles",
        "user", "plays", "after", "waiting"
    )?;
    let (first, rest) = rows.split_at(FIRST.min(rows.len()));
    let mut slowest: Vec<&Row<'_>> = rest.iter().collect();
    slowest.sort_by(|one, other| other.after.total_cmp(&one.after));
    first.iter().try_for_each(|row| user(out, row))?;
    if rest.len() > SLOWEST {
        writeln!(out, "  the slowest of {} more users:", rest.len())?;
    }
    slowest
        .into_iter()
        .take(SLOWEST)
        .try_for_each(|row| user(out, row))
}

fn user(out: &mut String, row: &Row<'_>) -> fmt::Result {
    let text = format!(
        "  {:<36}{:>6}{:>8.2} s{:>8.2} s   {}",
        shortened(row.user, 34),
        row.plays,
        row.after,
        row.waited,
        cut(&row.other_roles.join(" "), 33),
    );
    writeln!(out, "{}", text.trim_end())
}

fn row<'a>(evidence: &'a Evidence, line: &'a Change) -> Option<Row<'a>> {
    let after = (line.completed_at? - line.event_stored_at?).as_seconds_f64();
    Some(Row {
        user: &line.user_id,
        plays: line.plays,
        after,
        // A user may be queued before the play, by a login: only the time after the play counts.
        waited: (line.queued_ms as f64 / 1000.0).min(after),
        other_roles: evidence.others.roles(&line.user_id),
    })
}
