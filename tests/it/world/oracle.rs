//! Computes the expected counts, roles, audit and dead letters, from the published events and the tenant's
//! observations.
//!
//! Owns a model of the contract in a few dozen lines. Must never use the worker's code, nor query the worker.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rolekeeper_sandbox::tenant::{Actor, Tenant, Version};
use serde_json::{Value, json};

use crate::world::events::Sent;
use crate::world::persons::ids_of;

/// The role of the only rule, and its threshold.
pub(crate) const ROLE: &str = "playlist_editor";
const THRESHOLD: i64 = 100;

/// All published messages, by their stream (a stream that was created again is another one) and their sequence in it.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    stream: u32,
    stored: BTreeMap<(u32, u64), Sent>,
    by_id: HashMap<String, u64>,
}

/// One expected playlist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Playlist {
    pub(crate) plays: i64,
    pub(crate) deleted: bool,
    pub(crate) owner: Option<String>,
}

/// The expected state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) playlists: BTreeMap<String, Playlist>,
    /// Stream sequence and reason.
    pub(crate) dead_letters: Vec<(u64, &'static str)>,
}

/// A change of the role at the tenant, or in the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) granted: bool,
    pub(crate) at: time::OffsetDateTime,
}

impl Oracle {
    /// The stream acknowledged a message. The first of an id counts; a repeat must get the first one's place.
    pub(crate) fn stored(&mut self, seq: u64, sent: Sent) {
        let first = *self.by_id.entry(sent.id.clone()).or_insert(seq);
        assert_eq!(
            first, seq,
            "the bus stored {} a second time inside the window",
            sent.id
        );
        self.stored.entry((self.stream, seq)).or_insert(sent);
    }

    /// From now on sequences belong to another stream, which knows no ids.
    pub(crate) fn another_stream(&mut self) {
        self.stream += 1;
        self.by_id.clear();
    }

    /// These messages of the current stream were lost before they were folded.
    pub(crate) fn lost(&mut self, seqs: impl IntoIterator<Item = u64>) {
        for seq in seqs {
            self.stored.remove(&(self.stream, seq));
        }
    }

    /// Replays everything in order.
    pub(crate) fn expected(&self) -> Expected {
        let mut expected = Expected::default();
        let mut retracted = BTreeSet::new();
        for ((_, seq), sent) in &self.stored {
            if let Some(reason) = sent.poison {
                expected.dead_letters.push((*seq, reason));
                continue;
            }
            let event: Value = serde_json::from_slice(&sent.payload).expect("good events are JSON");
            let text = |field: &str| {
                event[field]
                    .as_str()
                    .expect("good events are complete")
                    .to_owned()
            };
            let playlist = expected.playlists.entry(text("playlist_id")).or_default();
            match event["type"].as_str() {
                Some("play") if !playlist.deleted => playlist.plays += 1,
                Some("play_retracted") => {
                    let fresh = retracted.insert(text("retracts"));
                    playlist.plays -= i64::from(fresh && !playlist.deleted);
                }
                Some("playlist_saved") => {
                    (playlist.owner, playlist.deleted) = (Some(text("owner_id")), false);
                }
                Some("playlist_deleted")
                    if event["owner_id"]
                        .as_str()
                        .is_some_and(|by| playlist.owner.as_deref() != Some(by)) => {}
                Some("playlist_deleted") => (playlist.plays, playlist.deleted) = (0, true),
                _ => {}
            }
        }
        // A playlist without information equals one without events.
        expected
            .playlists
            .retain(|_, playlist| *playlist != Playlist::default());
        expected
    }
}

impl Expected {
    /// Returns true if the person with these ids must hold the role.
    pub(crate) fn earns(&self, ids: &[String]) -> bool {
        let of_person = |owner: &String| ids.contains(owner);
        let mut own = self
            .playlists
            .values()
            .filter(|list| list.owner.as_ref().is_some_and(of_person));
        own.any(|list| !list.deleted && list.plays >= THRESHOLD)
    }
}

/// The difference between a user's `app_metadata` and the expected one: other clients' last values, and the role if
/// earned.
pub(crate) fn wrong_roles(tenant: &Tenant, client: &str, expected: &Expected, user: &str) -> Option<String> {
    let mut history = tenant.history(user);
    // An unlinked id is a new account.
    if let Some(end) = history
        .iter()
        .rposition(|version| version.deleted)
        .filter(|end| end + 1 < history.len())
    {
        history.drain(..=end);
    }
    let left = history.iter().rev().find(|version| !is_by(version, client))?;
    let now = history.last()?;
    if now.deleted {
        return None;
    }
    let others = roles(left).into_iter().filter(|role| role != ROLE);
    let others: Vec<String> = others.collect();
    let (mine, kept): (Vec<_>, Vec<_>) = roles(now).into_iter().partition(|role| role == ROLE);
    // A user who held the role before the first attempt, and does not earn it, keeps it until adopted.
    let unadopted = roles(&history[0]).iter().any(|role| role == ROLE);
    let earned = expected.earns(&ids_of(tenant, user));
    let right = kept == others
        && mine.len() <= 1
        && (mine.len() == 1) == (earned || (unadopted && mine.len() == 1))
        && beside_roles(left) == beside_roles(now);
    (!right).then(|| format!("{user}: earns the role: {earned}, others left {left:?}, now {now:?}"))
}

/// Whether the user lost the role because the account ended, by a link, and was made again: another client did that, and the
/// worker may not have read the user in between.
pub(crate) fn was_discarded(tenant: &Tenant, user: &str) -> bool {
    let history = tenant.history(user);
    let held = history
        .iter()
        .rposition(|version| roles(version).iter().any(|role| role == ROLE));
    let after = held.map_or(&[][..], |held| &history[held + 1..]);
    after.first().is_some_and(|next| next.deleted) && after.len() > 1 && !history[history.len() - 1].deleted
}

/// The changes of one user's role by the worker's client, oldest first.
pub(crate) fn changes(tenant: &Tenant, client: &str, user: &str) -> Vec<Change> {
    let history = tenant.history(user);
    let holds = |version: &Version| roles(version).iter().any(|role| role == ROLE);
    let pairs = history.iter().zip(history.iter().skip(1));
    pairs
        .filter(|(before, after)| is_by(after, client) && holds(before) != holds(after))
        .map(|(_, after)| Change {
            granted: holds(after),
            at: after.at,
        })
        .collect()
}

/// A row of the audit: the change with the time of its decision, and the time of its completion; none for a change whose result
/// was not known when the account ended.
pub(crate) type Audited = (Change, Option<time::OffsetDateTime>);

/// The differences between the audit rows of a user and the changes at the tenant: each change must have exactly one row,
/// decided before it and completed after. A row without a known result may have none.
pub(crate) fn wrong_audit(seen: &[Change], rows: &[Audited]) -> Option<String> {
    let right = are_explained(seen, rows);
    (!right).then(|| format!("the tenant saw {seen:?}, the audit says {rows:?}"))
}

fn are_explained(seen: &[Change], rows: &[Audited]) -> bool {
    let Some(((row, completed), others)) = rows.split_first() else {
        return seen.is_empty();
    };
    let explains = |seen: &Change| {
        row.granted == seen.granted && row.at <= seen.at && completed.is_none_or(|done| done >= seen.at)
    };
    let first = seen.split_first().filter(|(first, _)| explains(first));
    first.is_some_and(|(_, later)| are_explained(later, others))
        || (completed.is_none() && are_explained(seen, others))
}

fn is_by(version: &Version, client: &str) -> bool {
    matches!(&version.by, Actor::Client(id) if id == client)
}

fn roles(version: &Version) -> Vec<String> {
    let roles = version
        .roles()
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    roles
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn beside_roles(version: &Version) -> Value {
    let mut rest = version.app_metadata.clone().unwrap_or_else(|| json!({}));
    if let Some(rest) = rest.as_object_mut() {
        rest.remove("roles");
    }
    rest
}
