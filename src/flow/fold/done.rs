//! The effects of one committed batch.
//!
//! Owns what the metrics learn from a batch. Must never be counted before its transaction is committed.

use crate::traces::Span;
use rolekeeper_domain::event::Reason;

/// The effects of one transaction, counted once it is committed.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Messages of the batch.
    pub(super) messages: u64,
    /// Messages dropped because they name an erased person.
    pub(super) erased: u64,
    /// Messages dropped because they were counted before.
    pub(super) duplicates: u64,
    /// Playlists that a retraction left below 0.
    pub(super) below_zero: u64,
    /// For each record of the tenant's log, whether it was dropped because it names another tenant.
    pub(super) other_tenant: Vec<bool>,
    /// The reason of each message that became a dead letter.
    pub(super) rejected: Vec<Reason>,
    /// The spans of the events that carried a user across a threshold; they end here.
    pub(super) spans: Vec<Span>,
}
