//! Managed roles whose state is the result of a stale write of another client, or of a write of ours that no attempt has
//! recorded.
//!
//! Owns which of them count as ours. It applies only where confirmed records and all records that may yet be confirmed agree.
//! Must never take over a role because of a record alone.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::History;
use crate::merge::{Resolution, State};

/// The newest records for which Auth0 is asked at once because they may report a change of a managed role.
const ASKED_AT_ONCE: usize = 20;

/// The changes that are taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenOver<'a> {
    /// Roles that clients which did not know of our change have reverted.
    pub reverted: Vec<String>,
    /// Roles set by a write of ours that no attempt has recorded, each with the write.
    pub late: BTreeSet<(String, Uuid)>,
    /// The results of our writes up to now are recorded with this attempt.
    pub recorded: bool,
    /// Records that Auth0 must confirm.
    pub ask: Vec<&'a str>,
    /// Roles of which it is not yet known whether a person caused their state.
    pub doubtful: Vec<String>,
}

/// Compares what confirmed records say with what all records say that may yet be `sure`, and with their `likely` resolution.
/// `unrecorded`: the result of a write of ours was not recorded.
#[must_use]
pub fn take_over<'a>(
    (confirmed, unrecorded): (&History, bool),
    (sure, likely): (&'a History, &Resolution),
    (owned, now): (&[&str], &State),
) -> TakenOver<'a> {
    let certain = confirmed.resolve(owned, now);
    let (late, likely_late) = (late(confirmed, &certain), late(sure, likely));
    let agreed = |role: &&String| likely.reverted.contains(role);
    let reverted: Vec<String> = certain.reverted.iter().filter(agreed).cloned().collect();
    let mut taken = TakenOver {
        recorded: unrecorded && certain.consistent,
        ..TakenOver::default()
    };
    let differ = certain.reverted != likely.reverted || late != likely_late;
    if differ || (unrecorded && likely.consistent && !certain.consistent) {
        let open = sure.open_since(likely.since);
        taken.ask = open.into_iter().take(ASKED_AT_ONCE).collect();
        let doubtful = likely
            .reverted
            .iter()
            .chain(likely_late.iter().map(|(role, _)| role));
        let doubtful = doubtful.filter(|role| !reverted.contains(role));
        taken.doubtful = doubtful.cloned().collect();
    }
    taken.late = late.intersection(&likely_late).cloned().collect();
    taken.reverted = reverted;
    taken
}

fn late(of: &History, resolution: &Resolution) -> BTreeSet<(String, Uuid)> {
    let late = resolution.late.iter();
    late.map(|(role, ours)| (role.clone(), of.writes[*ours]))
        .collect()
}
