//! The results for log records: the tenant's own records, and the records of a file.
//!
//! Owns the result of each record: stored, read, or a dead letter with a reason. A record is stored when the sandbox's own
//! reader finds it in the stream. It is read when it lies before the worker's cursor, and the worker called the tenant about
//! the user that it names.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Check;
use super::evidence::Evidence;
use super::text::thousands;
use rolekeeper_sandbox::tenant::Endpoint;
use rolekeeper_sandbox::traffic::database::SetAside;
use rolekeeper_sandbox::traffic::log_file::{self, LogFile};
use rolekeeper_sandbox::traffic::stream::{APP_EVENTS, AUTH0_LOGS};

/// Results for a file.
#[derive(Debug)]
pub(super) struct Fate<'a> {
    pub(super) records: usize,
    /// Distinct records: by id, else by content.
    pub(super) distinct: usize,
    pub(super) stored: usize,
    pub(super) read: usize,
    pub(super) set_aside: Vec<&'a SetAside>,
    /// Users whose login or sign-up is in the file, and how many of them the worker read at the tenant.
    pub(super) named: usize,
    pub(super) asked_for: usize,
}

/// Returns the results for the file's records.
pub(super) fn fate<'a>(evidence: &'a Evidence, file: &LogFile) -> Fate<'a> {
    // Of several records with one id, the stream stores the first.
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    for record in &file.records {
        first.entry(log_file::key(record.as_bytes())).or_insert(record);
    }
    let aside: BTreeMap<u64, &SetAside> = evidence
        .kept
        .set_aside
        .iter()
        .filter(|one| one.stream == AUTH0_LOGS)
        .map(|one| (one.stream_seq.unsigned_abs(), one))
        .collect();
    let read_to = evidence.kept.read_to.get(AUTH0_LOGS).copied().unwrap_or(0);
    let stored: Vec<&Vec<u64>> = first.keys().filter_map(|key| evidence.records.get(key)).collect();
    let seqs = || stored.iter().copied().flatten();
    let named: BTreeSet<String> = first
        .values()
        .filter_map(|record| log_file::newcomer(record))
        .collect();
    let asked: BTreeSet<&str> = evidence
        .calls
        .iter()
        .filter(|call| call.endpoint == Endpoint::ReadUser)
        .filter_map(|call| call.user_id.as_deref())
        .collect();
    Fate {
        records: file.records.len(),
        distinct: first.len(),
        stored: stored.len(),
        read: stored
            .iter()
            .filter(|seqs| seqs.iter().all(|seq| *seq <= read_to.unsigned_abs()))
            .count(),
        set_aside: seqs().filter_map(|seq| aside.get(seq).copied()).collect(),
        named: named.len(),
        asked_for: named.iter().filter(|user| asked.contains(user.as_str())).count(),
    }
}

/// Checks that all records of the file are stored and read.
pub(super) fn check(evidence: &Evidence, file: &LogFile) -> Check {
    let fate = fate(evidence, file);
    Check::new(
        "every record of the file is stored and read",
        fate.stored == fate.distinct && fate.read == fate.distinct && fate.asked_for == fate.named,
        format!(
            "{} sent, {} stored, {} read",
            fate.distinct, fate.stored, fate.read
        ),
    )
}

/// Checks that every record that the tenant logged is in the stream once.
pub(super) fn tenant_log(evidence: &Evidence) -> Check {
    let once = evidence
        .logged
        .iter()
        .filter(|id| evidence.records.get(*id).map(Vec::len) == Some(1));
    let (once, all) = (once.count(), evidence.logged.len());
    Check::new(
        "every record of the tenant's log is kept once",
        once == all && evidence.given_up == 0,
        format!("{all} logged, {} sent, {once} kept once", evidence.deliveries),
    )
}

/// Checks that the worker's cursor in both streams is at their end.
pub(super) fn read_to_the_end(evidence: &Evidence) -> Check {
    let end = evidence.records.values().flatten().max().copied().unwrap_or(0);
    let ends = [(APP_EVENTS, evidence.tally.last_seq), (AUTH0_LOGS, end)];
    let read = |stream: &str| {
        evidence
            .kept
            .read_to
            .get(stream)
            .map_or(0, |seq| seq.unsigned_abs())
    };
    let figures = ends.map(|(stream, end)| format!("{} of {}", thousands(read(stream)), thousands(end)));
    Check::new(
        "both streams are read to their end",
        ends.iter().all(|(stream, end)| read(stream) == *end),
        figures.join(" and "),
    )
}
