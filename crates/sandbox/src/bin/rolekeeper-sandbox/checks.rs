//! The checks: comparisons of the result with the sandbox's own records.
//!
//! Owns the comparisons and their texts. Must never rely on the worker's reports: counts come from the published events,
//! roles and calls from the tenant, log records from the stream.

use std::collections::{BTreeMap, BTreeSet};

use time::Duration;

use super::check::Check;
use super::evidence::{Evidence, Written, by_worker};
use super::logs;
use super::text::thousands;
use super::world::BURST;
use rolekeeper_sandbox::tenant::Endpoint;
use rolekeeper_sandbox::traffic::ROLE;
use rolekeeper_sandbox::traffic::database::Change;
use rolekeeper_sandbox::traffic::others::{holds, of};
use rolekeeper_sandbox::traffic::stream::APP_EVENTS;
use rolekeeper_sandbox::traffic::tally::Crossing;

/// Share of the tenant's rate limit that the worker leaves to other clients by default.
const RESERVE: f64 = 0.5;
/// Longest time between a write and its record.
const RECORDED_WITHIN: Duration = Duration::seconds(10);

/// Returns the results of all checks.
pub(super) fn all(evidence: &Evidence) -> Vec<Check> {
    let written = evidence.written();
    let mut checks = vec![
        counted(evidence),
        set_aside(evidence),
        changed(evidence, &written, true),
        changed(evidence, &written, false),
        holders(evidence),
        audit(evidence, &written),
        others(evidence),
        old_editors(evidence),
        writes(evidence),
        gentle(evidence),
        logs::tenant_log(evidence),
        logs::read_to_the_end(evidence),
    ];
    checks.extend(evidence.file.as_ref().map(|file| logs::check(evidence, file)));
    checks.extend(
        evidence
            .stopped
            .clone()
            .map(|(well, how)| Check::new("the worker stopped cleanly on request", well, how)),
    );
    checks
}

fn counted(evidence: &Evidence) -> Check {
    let (own, found) = (&evidence.tally.playlists, &evidence.kept.playlists);
    let names: BTreeSet<&String> = own.keys().chain(found.keys()).collect();
    let equal = names.iter().filter(|name| own.get(**name) == found.get(**name));
    let equal = equal.count();
    let figures = format!(
        "{} of {} playlists show our count",
        thousands(equal as u64),
        thousands(names.len() as u64)
    );
    Check::new("every play counts once", equal == names.len(), figures)
}

fn set_aside(evidence: &Evidence) -> Check {
    let own = &evidence.tally.broken;
    let found = evidence.kept.set_aside.iter();
    let found: BTreeSet<u64> = found
        .filter(|one| one.stream == APP_EVENTS)
        .map(|one| one.stream_seq.unsigned_abs())
        .collect();
    let figures = format!("{} published, {} dead letters", own.len(), found.len());
    Check::new("unreadable events become dead letters", *own == found, figures)
}

/// Checks the grants, or the revokes, at the tenant: each happened once, for exactly the users who crossed the threshold.
fn changed(evidence: &Evidence, written: &[Written], up: bool) -> Check {
    let crossings = evidence.tally.crossings.iter();
    let mut own: Vec<&str> = crossings
        .filter(|crossing| crossing.up == up)
        .map(|crossing| crossing.user.as_str())
        .collect();
    let mut found: Vec<&str> = written
        .iter()
        .filter(|one| one.up == up)
        .map(|one| one.user.as_str())
        .collect();
    own.sort_unstable();
    found.sort_unstable();
    let what = if up {
        "exactly the users who reach 100 plays get the role"
    } else {
        "exactly the users who fall below lose it"
    };
    let (verb, done) = if up {
        ("reached it", "granted")
    } else {
        ("fell below", "revoked")
    };
    Check::new(
        what,
        own == found,
        format!("{} {verb}, {} {done}", own.len(), found.len()),
    )
}

fn holders(evidence: &Evidence) -> Check {
    let own: BTreeSet<String> = evidence
        .tally
        .holders
        .union(&evidence.old_editors)
        .cloned()
        .collect();
    let found = evidence.holders();
    let figures = format!("{} should, {} do", own.len(), found.len());
    Check::new("the right users hold the role at the end", own == found, figures)
}

/// Checks that each crossing has one line in the audit, with the right event and time, completed after the tenant's write.
fn audit(evidence: &Evidence, written: &[Written]) -> Check {
    let lines = &evidence.kept.changes;
    let fits = |crossing: &&Crossing| {
        let line = lines.iter().find(|line| is_about(line, crossing));
        let write = written
            .iter()
            .find(|one| one.user == crossing.user && one.up == crossing.up);
        let (Some(line), Some(write)) = (line, write) else {
            return false;
        };
        let stored = evidence.stored_at.get(&crossing.seq);
        let same_time = line.event_stored_at.zip(stored.copied()).is_some_and(|(a, b)| {
            // Postgres keeps microseconds.
            (a - b).abs() <= Duration::MICROSECOND
        });
        let recorded = line.completed_at.map(|done| done - write.at);
        same_time
            && line.event_id.as_deref() == Some(crossing.event.as_str())
            && recorded.is_some_and(|late| !late.is_negative() && late < RECORDED_WITHIN)
    };
    let crossings = &evidence.tally.crossings;
    let fitting = crossings.iter().filter(fits).count();
    let figures = format!(
        "{} role changes, {} lines, {fitting} fit",
        crossings.len(),
        lines.len()
    );
    Check::new(
        "the audit names the play behind each change",
        fitting == crossings.len() && lines.len() == crossings.len(),
        figures,
    )
}

pub(super) fn is_about(line: &Change, crossing: &Crossing) -> bool {
    let change = if crossing.up { "granted" } else { "revoked" };
    line.user_id == crossing.user && line.role == ROLE && line.change == change
}

/// Checks other roles, in their order, and other settings: they are right at the end, and no write of the worker changed
/// them before.
fn others(evidence: &Evidence) -> Check {
    let (mut all, mut intact) = (0, 0);
    let expected: BTreeMap<&str, _> = evidence.others.iter().collect();
    for (user, history) in &evidence.histories {
        let rest = |version: &rolekeeper_sandbox::tenant::Version| of(version.app_metadata.as_ref());
        let now = history.last().map(rest).unwrap_or_default();
        let wanted = expected.get(user.as_str()).copied().cloned().unwrap_or_default();
        let untouched = history
            .windows(2)
            .all(|pair| !by_worker(&pair[1]) || rest(&pair[0]) == rest(&pair[1]));
        all += usize::from(!wanted.is_empty());
        intact += usize::from(!wanted.is_empty() && now == wanted && untouched);
        if wanted.is_empty() && (!now.is_empty() || !untouched) {
            // The user has a value that does not belong there: this counts as not intact.
            all += 1;
        }
    }
    let figures = format!("{intact} of {all} users");
    Check::new("other roles and settings are intact", intact == all, figures)
}

fn old_editors(evidence: &Evidence) -> Check {
    let untouched = evidence.old_editors.iter().filter(|user| {
        let history = evidence.histories.get(*user);
        history.is_some_and(|history| {
            history
                .iter()
                .all(|version| !by_worker(version) && holds(version.app_metadata.as_ref()))
        })
    });
    let (untouched, all) = (untouched.count(), evidence.old_editors.len());
    let seen = evidence
        .unadopted
        .map_or("no figure".to_owned(), |figure| figure.to_string());
    Check::new(
        "editors from before are left alone, and counted",
        untouched == all && evidence.unadopted == Some(all as f64),
        format!("{untouched} of {all} untouched, {seen} counted"),
    )
}

fn writes(evidence: &Evidence) -> Check {
    let (changes, writes) = (
        evidence.tally.crossings.len(),
        evidence.calls_to(Endpoint::PatchUser),
    );
    Check::new(
        "one write for each role change, and no other",
        changes == writes,
        format!("{changes} role changes, {writes} writes"),
    )
}

fn gentle(evidence: &Evidence) -> Check {
    let (limited, left) = (evidence.answered(429), evidence.fewest_left());
    Check::new(
        "half of the tenant's rate limit stays free",
        limited == 0 && left >= BURST * RESERVE - 1.0,
        format!("never below {left:.0} of {BURST:.0} calls, {limited} times 429"),
    )
}
