//! The work queue: one user's row.
//!
//! Owns the conditions of claim, lease and generation, as the statements of `src/store/leases.rs` and `work_queue.rs` have them; both
//! are driven with the same scripts and compared. Must never lose an enqueueing that happens during an attempt.

pub use super::queued::{Lease, Queued};
use super::tables::Tables;
use rolekeeper_domain::held::HeldBy;

impl Tables {
    /// Enqueues the user; `event` for a crossed threshold, `read` for a read of the profile.
    pub fn enqueue(&mut self, event: bool, read: bool) {
        self.events += u8::from(event);
        let (events, generation) = (self.events, self.generation);
        let row = self.queue.get_or_insert(Queued {
            generation,
            ..Queued::default()
        });
        row.generation += 1;
        row.events = events;
        row.read |= read;
        row.held = None;
        row.parked &= !read;
        row.timer = None;
        self.generation = row.generation;
    }

    /// Claims the user, if the row is due. Returns the lease, and whether the profile must be read.
    pub fn claim(&mut self) -> Option<(u8, bool)> {
        let (paused, hours) = (self.paused, self.hours);
        let free = |row: &&mut Queued| {
            !row.waits(hours) && row.held.is_none() && row.lease.is_none_or(|lease| !lease.valid)
        };
        let row = self.queue.as_mut().filter(free).filter(|_| !paused)?;
        let read = row.read || row.lease.is_some();
        self.ids += 1;
        row.read = false;
        row.lease = Some(Lease {
            id: self.ids,
            valid: true,
        });
        Some((self.ids, read))
    }

    /// The row of the queue, if the attempt still has its lease.
    pub fn still_ours(&mut self, lease: u8) -> Option<&mut Queued> {
        let ours = |row: &&mut Queued| {
            row.lease
                == Some(Lease {
                    id: lease,
                    valid: true,
                })
        };
        self.queue.as_mut().filter(ours)
    }

    /// Ends an attempt as of `generation`, until the hour `again_at` if that is given. A user enqueued meanwhile stays due.
    pub fn finish(&mut self, lease: u8, generation: u8, held: Option<HeldBy>, again_at: Option<u8>) {
        let Some(row) = &mut self.queue else { return };
        if row.lease.is_none_or(|of| of.id != lease) {
            return;
        }
        row.lease = None;
        if row.generation == generation && !row.read {
            (row.held, row.timer) = (held, again_at);
            if held.is_none() && again_at.is_none() {
                self.queue = None;
            }
        }
    }

    /// Parks the user for the operator.
    pub fn park(&mut self, lease: u8) {
        if let Some(row) = self.still_ours(lease) {
            (row.lease, row.read, row.parked) = (None, true, true);
        }
    }

    /// Requeues the user, to be read.
    pub fn again(&mut self, lease: u8) {
        if let Some(row) = self
            .queue
            .as_mut()
            .filter(|row| row.lease.is_some_and(|of| of.id == lease))
        {
            row.lease = None;
            row.read = true;
        }
    }
}
