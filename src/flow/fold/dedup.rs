//! Events that came again under their id after the stream's own duplicate window.
//!
//! Owns which copy counts: the first in the stream's order. Must never drop a different event under a known id without
//! a report: it is kept for the operator.

use tracing::warn;

use super::affected_users::Read;
use super::replaced::Replacements;
use crate::bus::Message;
use crate::store::{LockGuard, StoreError, Tx, event_ids};
use rolekeeper_domain::dedup_window::{self, DedupWindow, Partition};
use rolekeeper_domain::event::{self, Reason, Reject};

/// The relation of a message to the known ids.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    New,
    Duplicate,
    Conflict,
}

/// Makes the partition that the batch needs and, whenever one is made, drops the expired ones. Returns the partitions
/// that are searched for the batch's ids. It uses transactions of its own: the batch's transaction must not wait for
/// readers of old ids.
pub(super) async fn prepare(
    lock: &mut LockGuard,
    dedup_window: DedupWindow,
    read: &Read,
) -> Result<Vec<Partition>, StoreError> {
    let (Some(oldest), Some(newest)) = (read.stored_ns.iter().min(), read.stored_ns.iter().max()) else {
        return Ok(Vec::new());
    };
    let (oldest, newest) = (second(*oldest), second(*newest));
    let mut partitions = event_ids::partitions(lock).await?;
    if let Some(partition) = dedup_window.missing(&partitions, newest) {
        event_ids::make(lock, &partition).await?;
        for old in partitions
            .iter()
            .filter(|partition| dedup_window.is_over(partition, oldest))
        {
            if let Err(why) = event_ids::drop_partition(lock, old).await {
                warn!("old event ids were not removed, retrying with the next partition: {why}");
                break;
            }
        }
        partitions.push(partition);
    }
    partitions.retain(|partition| !dedup_window.is_over(partition, oldest));
    Ok(partitions)
}

/// Removes events that were counted before from `read`, and stores the ids of the rest. A different event under a known
/// id becomes a dead letter. Returns the number of duplicates.
pub(super) async fn drop_duplicates(
    tx: &mut Tx<'_>,
    (read, dead): (&mut Read, &mut Vec<(Message, Reject)>),
    partitions: &[Partition],
    replacements: &mut Replacements,
) -> Result<u64, StoreError> {
    let verdicts = judge(tx, read, partitions).await?;
    let rejects: Vec<Option<Reject>> = read
        .events
        .iter()
        .zip(&verdicts)
        .filter(|(_, verdict)| **verdict != Verdict::New)
        .map(|(event, verdict)| {
            let fault = format_args!("\"{}\" was counted before with other content", event.id);
            (*verdict == Verdict::Conflict).then(|| Reject::new(Reason::IdReused, "event_id", fault))
        })
        .collect();
    let keep: Vec<bool> = verdicts.iter().map(|verdict| *verdict == Verdict::New).collect();
    for ((event, seq), kept) in read.events.iter().zip(&read.seqs).zip(&keep) {
        if !kept {
            replacements.add(event, *seq, false);
        }
    }
    let out = read.retain(&keep);
    let dropped = out.len() as u64;
    let conflicts: Vec<_> = out
        .into_iter()
        .zip(rejects)
        .filter_map(|(message, reject)| Some((message, reject?)))
        .collect();
    let duplicates = dropped - conflicts.len() as u64;
    dead.extend(conflicts);
    Ok(duplicates)
}

/// Returns a verdict for each event; the ids of new ones are stored.
async fn judge(tx: &mut Tx<'_>, read: &Read, partitions: &[Partition]) -> Result<Vec<Verdict>, StoreError> {
    let names: Vec<i64> = partitions.iter().map(|partition| partition.from).collect();
    let mut order: Vec<usize> = (0..read.events.len()).collect();
    // Stable: copies stay in the stream's order.
    order.sort_by_key(|index| read.events[*index].id.as_str());
    let mut ids: Vec<&str> = order
        .iter()
        .map(|index| read.events[*index].id.as_str())
        .collect();
    ids.dedup();
    let known = event_ids::known(tx, &names, &ids).await?;
    let mut verdicts = vec![Verdict::New; read.events.len()];
    let (mut kept_in, mut payloads, mut kept): (Vec<i64>, Vec<i64>, Vec<&str>) = Default::default();
    let mut stored_ns = Vec::new();
    for index in order {
        let id = read.events[index].id.as_str();
        let message = &read.messages[index];
        let payload = event::content_hash(message.headers(), message.payload());
        let first = known
            .get(id)
            .or_else(|| payloads.last().filter(|_| kept.last() == Some(&id)));
        if let Some(first) = first {
            verdicts[index] = if *first == payload {
                Verdict::Duplicate
            } else {
                Verdict::Conflict
            };
        } else if let Some(partition) = dedup_window::partition_of(partitions, second(read.stored_ns[index]))
        {
            kept_in.push(partition.from);
            payloads.push(payload);
            kept.push(id);
            stored_ns.push(read.stored_ns[index]);
        }
    }
    event_ids::keep(tx, &kept_in, &payloads, &kept, &stored_ns).await?;
    Ok(verdicts)
}

/// Time at which the stream stored it, Unix seconds.
fn second(stored_ns: i64) -> i64 {
    stored_ns.div_euclid(1_000_000_000)
}
