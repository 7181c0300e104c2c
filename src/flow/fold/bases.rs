//! Bases of `verify` and `rebuild`: when each partition of the counts is copied, and how far the stream may be trimmed for them.
//!
//! Owns the timer. Must never let a base hold the stream where the base cannot be replaced and the room is needed.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::source::Source;
use super::stage::Fold;
use crate::clock;
use crate::store::{Base, StoreError};
use rolekeeper_domain::event::PARTITIONS;

/// Interval at which the oldest base is replaced: all are, within 64 hours.
const RENEW_EVERY: time::Duration = time::Duration::hours(1);
/// Age at which a base is given up that could not be replaced.
const OLDEST: time::Duration = time::Duration::days(7);
/// Time in one round of trimming after which no further base is made.
const BUDGET: Duration = Duration::from_secs(2);
/// Messages that wait to be folded from which on one base is made in a round: the copies would take the place of the fold's writes.
const BEHIND: u64 = 10_000;
/// Free share of the stream's room below which bases no longer hold messages that may be removed.
const SCARCE: f64 = 0.05;

/// The wants of trimming.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The first message that would stay without bases; none if nothing is to be removed.
    pub(super) first: Option<u64>,
    /// Free share of the room; none without a limit.
    pub(super) left: Option<f64>,
    /// Sequence of the cursor.
    pub(super) cursor: i64,
    /// Messages that wait to be folded.
    pub(super) waiting: u64,
}

/// Makes the bases that are due, and returns the first message that must stay for the oldest one.
///
/// # Errors
/// Postgres does not respond.
pub(super) async fn renew(fold: &Fold, wanted: Wanted) -> Result<u64, StoreError> {
    if fold.source != Source::AppEvents {
        return Ok(u64::MAX);
    }
    let began = Instant::now();
    let mut bases = fold.store.bases().await?;
    let mut made = 0;
    while (made == 0 || (began.elapsed() < BUDGET && wanted.waiting < BEHIND))
        && let Some(partition) = due(&bases, &wanted, clock::now())
    {
        if fold.store.open_loss(fold.source.stream()).await?.is_some() {
            break;
        }
        match fold.store.make_base(partition).await {
            Ok(true) => made += 1,
            Ok(false) => break,
            Err(why) => {
                warn!(
                    partition,
                    "the base of a partition for `rolekeeper verify` was not made, retrying with the next round of trimming: {why}"
                );
                break;
            }
        }
        bases = fold.store.bases().await?;
    }
    if made > 0 {
        debug!(made, "bases for `rolekeeper verify` were made");
    }
    give_up(fold, &wanted, &mut bases).await?;
    Ok(bases.first().map_or(u64::MAX, first_to_stay))
}

/// Removes bases that stand in the way: where the room is needed now, or where they could not be replaced for long.
async fn give_up(fold: &Fold, wanted: &Wanted, bases: &mut Vec<Base>) -> Result<(), StoreError> {
    let (Some(first), Some(oldest)) = (wanted.first, bases.first()) else {
        return Ok(());
    };
    let is_scarce = wanted.left.is_some_and(|left| left < SCARCE);
    let is_old = clock::now() - oldest.made_at > OLDEST;
    if first_to_stay(oldest) >= first || !(is_scarce || is_old) {
        return Ok(());
    }
    let given_up = fold.store.give_up_bases(first.cast_signed() - 1).await?;
    warn!(
        given_up,
        "bases for `rolekeeper verify` were removed, because they held messages whose room is needed, or could not be replaced for a week"
    );
    *bases = fold.store.bases().await?;
    Ok(())
}

/// The partition whose base is due: a missing one, one in the way of trimming, or the oldest once an hour.
fn due(bases: &[Base], wanted: &Wanted, now: OffsetDateTime) -> Option<i16> {
    let has = |partition: &i16| bases.iter().any(|base| base.partition == *partition);
    let missing = (0..i16::try_from(PARTITIONS).unwrap_or_default()).find(|partition| !has(partition));
    if missing.is_some() {
        return missing;
    }
    let oldest = bases.first()?;
    let is_in_the_way = wanted.first.is_some_and(|first| first_to_stay(oldest) < first);
    let newest = bases.iter().map(|base| base.made_at).max()?;
    let is_behind = oldest.last_seq < wanted.cursor;
    (is_in_the_way || (is_behind && now - newest >= RENEW_EVERY)).then_some(oldest.partition)
}

fn first_to_stay(base: &Base) -> u64 {
    base.last_seq.unsigned_abs() + 1
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

    /// Bases of all partitions, the oldest first: an hour apart, the newest made at the given number of minutes before now.
    fn bases(newest_min: i64) -> Vec<Base> {
        let base = |partition: i16| Base {
            partition,
            last_seq: 100 + i64::from(partition),
            last_stored_ns: 1,
            made_at: NOW - time::Duration::minutes(newest_min + 60 * (63 - i64::from(partition))),
        };
        (0..64).map(base).collect()
    }

    #[test]
    fn one_base_an_hour_is_due_and_more_where_they_are_in_the_way() {
        let wanted = |first| Wanted {
            first,
            left: None,
            cursor: 1_000,
            waiting: 0,
        };
        let mut lacking = bases(5);
        lacking.remove(7);
        for (what, bases, wanted, expected) in [
            ("none yet", vec![], wanted(None), Some(0)),
            ("one is missing", lacking, wanted(None), Some(7)),
            ("made a while ago", bases(59), wanted(None), None),
            ("made an hour ago", bases(60), wanted(None), Some(0)),
            (
                "nothing folded since",
                bases(60),
                Wanted {
                    cursor: 100,
                    ..wanted(None)
                },
                None,
            ),
            ("it holds what may go", bases(5), wanted(Some(102)), Some(0)),
            ("it holds nothing that may go", bases(5), wanted(Some(101)), None),
        ] {
            assert_eq!(due(&bases, &wanted, NOW), expected, "{what}");
        }
    }
}
