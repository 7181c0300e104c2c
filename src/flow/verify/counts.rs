//! Counts again, partition by partition, and collects the differences.
//!
//! Must never have more than one partition in memory.

use serde::Serialize;
use time::OffsetDateTime;

use super::listed::list;
use crate::flow::recount::{Checked, RecountError, Recounter};
use rolekeeper_domain::date::of_unix_ns;
use rolekeeper_domain::replay::{Difference, Life};

/// The result of the comparison with the stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Partitions that were counted again.
    pub partitions: u64,
    /// Playlists in them.
    pub playlists: u64,
    /// Messages that were counted again.
    pub messages: u64,
    /// The oldest base of them: what lies before it is not checked.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// Playlists that differ.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<CountDifference>,
    /// Partitions that could not be counted again.
    pub not_checked: Vec<NotChecked>,
}

/// A playlist whose stored state is not that of the events.
#[derive(Clone, Debug, Serialize)]
pub struct CountDifference {
    /// Its id.
    pub playlist_id: String,
    /// Its partition.
    pub partition: i16,
    /// By the events since the base.
    pub counted: State,
    /// As Postgres has it.
    pub stored: State,
}

/// A state of a playlist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// Plays minus retractions.
    pub plays: i64,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Its owner, if it has one.
    pub owner_id: Option<String>,
    /// When it was saved after a deletion, by the stream.
    #[serde(with = "time::serde::rfc3339::option")]
    pub saved_again_at: Option<OffsetDateTime>,
    /// When it was last saved or deleted, by the stream.
    #[serde(with = "time::serde::rfc3339::option")]
    pub changed_at: Option<OffsetDateTime>,
}

/// A partition that could not be counted again.
#[derive(Clone, Debug, Serialize)]
pub struct NotChecked {
    /// The partition.
    pub partition: i16,
    /// The reason.
    pub why: String,
}

/// Counts the partitions again; `progress` is called with the number of partitions done so far.
///
/// # Errors
/// Postgres or JetStream does not respond, or the stop was requested.
pub async fn counts(
    recounter: &Recounter<'_>,
    partitions: &[i16],
    mut progress: impl FnMut(u64),
) -> Result<Counts, RecountError> {
    let mut counts = Counts::default();
    for (done, partition) in (1..).zip(partitions) {
        match recounter.partition(*partition).await? {
            Checked::No(why) => counts.not_checked.push(NotChecked {
                partition: *partition,
                why,
            }),
            Checked::Yes(one) => {
                counts.partitions += 1;
                counts.playlists += one.playlists;
                counts.messages += one.messages;
                counts.since = Some(counts.since.map_or(one.since, |since| since.min(one.since)));
                counts.differing += one.differences.len() as u64;
                let found = one.differences.into_iter();
                let found = found.map(|one| CountDifference::of(one, *partition));
                list(&mut counts.differences, found);
            }
        }
        progress(done);
    }
    Ok(counts)
}

impl CountDifference {
    fn of(difference: Difference, partition: i16) -> Self {
        let Difference { id, counted, stored } = difference;
        Self {
            playlist_id: id,
            partition,
            counted: State::of(counted),
            stored: State::of(stored),
        }
    }
}

impl State {
    fn of(life: Life) -> Self {
        Self {
            plays: life.playlist.plays,
            deleted: life.playlist.deleted,
            owner_id: life.playlist.owner.map(|owner| owner.as_str().to_owned()),
            saved_again_at: life.saved_again_ns.map(of_unix_ns),
            changed_at: life.changed_ns.map(of_unix_ns),
        }
    }
}
