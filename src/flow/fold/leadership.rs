//! One leadership: the period in which this worker folds a stream.
//!
//! Owns what a leadership has from its start, how it may end, and the state with which it writes. Must never change its
//! rules: other rules end the leadership.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::watch;

use super::key_cache::KeyCache;
use super::progress::{COMMIT_TIMEOUT, Progress};
use super::stage::Fold;
use super::watch::Pulse;
use crate::bus::{BusError, ReadError};
use crate::store::{Cursor, LockGuard, StoreError};
use rolekeeper_domain::rule::Rules;

/// Interval at which a stopped fold checks whether its loss was accepted, and at which other rules are checked.
pub(super) const STOPPED_POLL: Duration = Duration::from_secs(2);

/// The reason why a leadership ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeadershipError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("reading {0}")]
    Read(#[from] ReadError),
    #[error("the cursor was moved elsewhere, or other rules are in force; nothing was committed")]
    Refused,
    #[error(
        "the stream APP_EVENTS lacks its subject transform to 64 partitions, or has another one; nothing is folded. \
         To continue: rolekeeper migrate"
    )]
    NoTransform,
    #[error("no response to a commit within {COMMIT_TIMEOUT:?}")]
    CommitTimeout,
    /// Postgres refused the batch; the next one is smaller.
    #[error(transparent)]
    Smaller(StoreError),
    #[error(
        "Postgres refused 1,000 messages within this hour, each on its own; the database is at fault, and no more are set \
         aside: {0}"
    )]
    TooManyRefused(String),
}

impl LeadershipError {
    /// The text for `/readyz`.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Store(why) | Self::Smaller(why) => why.shown(),
            Self::Bus(why) => why.shown(),
            Self::Read(why) => format!("reading: {}", why.shown()),
            Self::TooManyRefused(_) => {
                "Postgres refused 1,000 messages within this hour, each on its own; the log has the reason"
                    .to_owned()
            }
            Self::Refused | Self::NoTransform | Self::CommitTimeout => self.to_string(),
        }
    }
}

/// How a leadership ended in order.
pub(super) enum LeadershipEnd {
    Stopping,
    Standby,
    Stopped,
    OtherRules,
}

/// One leadership: a fold under the rules of its time.
pub(super) struct Leadership<'f> {
    pub(super) fold: &'f Fold,
    pub(super) pulse: &'f Pulse,
    pub(super) rules: Arc<Rules>,
    pub(super) fingerprint: String,
    /// Whether this leadership was reported as ready.
    pub(super) reported_ready: AtomicBool,
    /// Signals that the rules have changed.
    pub(super) changed: watch::Receiver<Arc<Rules>>,
}

/// The state with which a leadership writes.
pub(super) struct Hand<'t> {
    pub(super) lock: &'t mut LockGuard,
    pub(super) cursor: &'t mut Cursor,
    pub(super) key_cache: &'t mut KeyCache,
    pub(super) progress: &'t mut Progress,
}

impl<'f> Leadership<'f> {
    pub(super) fn new(fold: &'f Fold, pulse: &'f Pulse) -> Self {
        let mut changed = fold.rules.clone();
        let rules = Arc::clone(&changed.borrow_and_update());
        Self {
            fold,
            pulse,
            fingerprint: rules.fingerprint(),
            rules,
            reported_ready: AtomicBool::new(false),
            changed,
        }
    }
}
