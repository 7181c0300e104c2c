//! Reading the plays of one playlist's partition.
//!
//! Owns how many messages are read at most. Must never read the other partitions.

use super::names::APP_EVENTS;
use super::{Bus, BusError, Reader};
use rolekeeper_domain::event::partition;
use rolekeeper_domain::subjects::PLAYS;

/// Messages of one pull request: small, since only few are read at all.
const BATCH: usize = 5_000;

/// The newest messages of a partition.
pub struct Partition {
    /// Delivers them.
    pub reader: Reader,
    /// How many it delivers, as of its start.
    pub pending: u64,
    /// Older messages of the partition are in the stream.
    pub begins_late: bool,
}

impl Bus {
    /// Reads the partition of a playlist: about the newest `most` messages. Their number is known for the whole partition only, so the
    /// start is an estimate.
    ///
    /// # Errors
    /// JetStream does not respond, or refuses the consumer.
    pub async fn partition(&self, playlist: &str, most: u64) -> Result<Partition, BusError> {
        let plays = format!("{PLAYS}{}", partition(playlist));
        let reader = self.reader_of(APP_EVENTS, Some(&plays), 1, BATCH).await?;
        let pending = reader.waiting();
        if pending <= most {
            return Ok(Partition {
                reader,
                pending,
                begins_late: false,
            });
        }
        self.close(reader).await;
        let extent = self.stream_state(APP_EVENTS).await?.extent();
        let length = u128::from(extent.last_seq.saturating_sub(extent.first_seq));
        let skipped = length * u128::from(pending - most) / u128::from(pending);
        let from = extent
            .first_seq
            .saturating_add(u64::try_from(skipped).unwrap_or(u64::MAX));
        let reader = self.reader_of(APP_EVENTS, Some(&plays), from, BATCH).await?;
        Ok(Partition {
            pending: reader.waiting(),
            reader,
            begins_late: true,
        })
    }
}
