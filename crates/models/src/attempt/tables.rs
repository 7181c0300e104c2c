//! Postgres, as far as an attempt uses it: one user's rows.
//!
//! Owns the conditions under which a row changes, as the statements of `src/store/profile_writes.rs` and `races.rs` have them. Must
//! never decide about a role.

use std::collections::BTreeSet;

use rolekeeper_domain::history::{KnownRaces, Theirs};
use rolekeeper_domain::merge::{OurWrite, Window};
use time::OffsetDateTime;
use uuid::Uuid;

use super::queued::Queued;
pub use super::rows::{Assigned, Pinned, Removed, Unsettled};
use super::tenant::{MANAGED, Profile, list, read_at, written_at};

/// A row of the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// Its id.
    pub id: u8,
    /// The role, as a place in [`NAMES`].
    pub role: u8,
    /// Granted; otherwise revoked.
    pub granted: bool,
}

/// A write of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// Its id.
    pub id: u8,
    /// The profile as read before it.
    pub read: Profile,
    /// Number of the tenant's writes when that response came.
    pub read_date: u8,
    /// The roles that it sets.
    pub roles: u8,
    /// Number of the tenant's write that it became, once that is known.
    pub wrote: Option<u8>,
    /// The managed roles that it changes.
    pub managed: u8,
    /// Its response was read.
    pub answered: bool,
    /// An attempt recorded its result.
    pub recorded: bool,
    /// An attempt did not see it in time.
    pub closed: bool,
    /// Time of the oldest write that it takes into account, if it restores a role of another client.
    pub since: Option<OffsetDateTime>,
    /// The lease under which it was decided: once this has expired, it is too late.
    pub lease: u8,
}

/// A record of another client's write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Its place in the tenant's log.
    pub place: u8,
    /// The profile after the write.
    pub profile: Profile,
    /// Auth0 is asked for it.
    pub asked: bool,
    /// Auth0 returned the same record, or does not know it.
    pub verdict: Option<bool>,
}

/// The rows of the user, and those of all users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one user, each on its own")]
pub struct Tables {
    /// The count of the user's best playlist is at the threshold.
    pub earned: bool,
    /// The count of all playlists is.
    pub total: bool,
    /// Hours that have passed.
    pub hours: u8,
    /// The rules in force.
    pub rules: u8,
    /// The user is blocked, by the last whole profile.
    pub shown: Option<bool>,
    /// The work queue.
    pub queue: Option<Queued>,
    /// Number of events so far that enqueued the user.
    pub events: u8,
    /// Generation of the next row of the queue.
    pub generation: u8,
    /// The managed roles.
    pub assigned: [Option<Assigned>; MANAGED.len()],
    /// The pin of the first one.
    pub pin: Option<Pinned>,
    /// The removal by hand of the first one.
    pub removal: Option<Removed>,
    /// Open rows of the audit.
    pub open: Vec<Change>,
    /// Our writes.
    pub writes: Vec<Write>,
    /// Records of other clients' writes.
    pub records: Vec<Record>,
    /// Open races: our write, and the record's place.
    pub races: BTreeSet<(u8, u8)>,
    /// Settled races.
    pub settled: BTreeSet<(u8, u8)>,
    /// Number of the profile's write when a race was last left to the operator.
    pub given_up: Option<u8>,
    /// Open races are older than the longest wait for a record.
    pub overdue: bool,
    /// A stream's loss stands.
    pub loss: bool,
    /// The operator has paused rolekeeper.
    pub paused: bool,
    /// The brakes on grants and on revokes that are engaged.
    pub braked: [bool; 2],
    /// The brake on removals by hand is engaged.
    pub removals_braked: bool,
    /// An import counts plays of the user.
    pub importing: bool,
    /// Number of the write in the newest profile that an attempt stored.
    pub seen: u8,
    /// Ids given out.
    pub ids: u8,
}

impl Tables {
    /// The next id.
    pub fn id(&mut self) -> u8 {
        self.ids += 1;
        self.ids
    }

    /// Asks Auth0 for these records.
    pub fn confirm(&mut self, ask: &[&str]) {
        for record in &mut self.records {
            record.asked |= ask.contains(&record.place.to_string().as_str()) && record.verdict.is_none();
        }
    }

    /// Whether a write has no response, or no attempt has recorded its result.
    #[must_use]
    pub fn unrecorded(&self) -> bool {
        self.writes
            .iter()
            .any(|write| !(write.closed || write.answered && write.recorded))
    }

    /// Settles the writes without a response by the profile in the read of the attempt with this lease: completes the newest write
    /// that produced it, and closes the others whose time is over.
    pub fn settle(&mut self, shown: Profile, lease: u8) {
        let open = |write: &Write| !write.answered && !write.closed;
        let done = |write: &Write| write.roles == shown.roles && write.read.at < shown.at;
        let newest = self.writes.iter().rposition(|write| open(write) && done(write));
        for (place, write) in self.writes.iter_mut().enumerate() {
            if Some(place) == newest {
                write.wrote.get_or_insert(shown.at);
            } else if open(write) && write.wrote.is_none() && write.lease < lease {
                write.closed = true;
            }
        }
    }

    /// Our writes with a known time.
    #[must_use]
    pub fn ours(&self) -> Vec<(Uuid, OurWrite)> {
        let known = self.writes.iter().filter(|write| !write.closed);
        let known = known.filter_map(|write| {
            let wrote = Profile {
                at: write.wrote?,
                roles: write.roles,
                ..write.read
            };
            let ours = OurWrite {
                read: write.read.state(),
                wrote: wrote.state(),
                managed: list(write.managed),
                resolved_since: write.since,
                recorded: write.recorded,
                window: write
                    .answered
                    .then(|| Window::between(read_at(write.read_date), written_at(wrote.at))),
            };
            Some((Uuid::from_u128(u128::from(write.id)), ours))
        });
        known.collect()
    }

    /// The records that Auth0 confirmed, or may yet confirm.
    #[must_use]
    pub fn theirs(&self) -> Vec<Theirs> {
        let known = self.records.iter().filter(|record| record.verdict != Some(false));
        let theirs = known.map(|record| Theirs {
            record: record.place.to_string(),
            state: record.profile.state(),
            log_id: Some(record.place.to_string()),
            client: None,
            confirmed: record.verdict == Some(true),
        });
        theirs.collect()
    }

    /// The known races.
    #[must_use]
    pub fn known_races(&self) -> KnownRaces {
        let settled = self.settled.iter();
        KnownRaces {
            settled: settled
                .map(|(write, record)| (Uuid::from_u128(u128::from(*write)), record.to_string()))
                .collect(),
            given_up_at: self.given_up.map(written_at),
            overdue: self.overdue && !self.races.is_empty(),
            released: false,
        }
    }
}
