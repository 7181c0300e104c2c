//! The context that all attempts of one leadership share.
//!
//! Owns the adapters, the rules and limits in force, and that ended pins are removed when a user is evaluated. Must never hold a part of the queue's consumption: an attempt
//! cannot claim another user, wait for a turn or stop the stage.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::batches::Batches;
use super::locks::Locks;
use super::passing::Passing;
use super::plain_write::{Asked, Plain, Written};
use super::slots::Slots;
use crate::auth0::{EXCHANGES_PER_CALL, Profile, Reader, Reply, Writer};
use crate::config::RestoreConfig;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError, Tx, pins, snapshot};
use rolekeeper_domain::brake::BrakeLimits;
use rolekeeper_domain::display_name::DisplayName;
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::rule::{Rules, Shown};
use rolekeeper_domain::snapshot::Snapshot;

/// Part of a lease beyond the calls: our own transactions.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// Extra time beyond the request timeout for an unacknowledged write to take effect before the user is attempted again.
const SETTLE_MARGIN: Duration = Duration::from_secs(2);

/// The adapters, rules and limits of one leadership.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) store: Store,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) metrics: Arc<Metrics>,
    pub(super) rules: Arc<Rules>,
    pub(super) fingerprint: String,
    pub(super) writes: bool,
    pub(super) default_name: Option<DisplayName>,
    pub(super) verify_after: Duration,
    pub(super) brake: BrakeLimits,
    pub(super) restores: RestoreConfig,
    pub(super) request_timeout: Duration,
    pub(super) passing: Arc<Passing>,
    /// Places of the attempts in flight.
    pub(super) slots: Arc<Slots>,
    /// Decisions of concurrent attempts.
    pub(super) decisions: Arc<Batches<Asked, Option<Box<Plain>>>>,
    /// Results of concurrent attempts.
    pub(super) results: Arc<Batches<Written, bool>>,
    /// Transactions of single attempts at once; the rest of the pool's connections serves batches, claims and other stages.
    pub(super) single: Arc<Semaphore>,
    /// Whether rows of users were found locked lately.
    pub(super) locks: Arc<Locks>,
}

impl Context {
    /// Evaluates the user, once the user's queue row is locked. A whole profile that was just read replaces the stored one.
    pub(super) async fn evaluate(
        &self,
        tx: &mut Tx<'_>,
        user: &str,
        profile: Option<&Profile>,
    ) -> Result<Evaluation<'_>, StoreError> {
        let conditions = self.rules.have_conditions();
        let snapshot = snapshot::of_user(tx, user, self.verify_after, conditions).await?;
        let evaluation = self.evaluation(snapshot, profile);
        if evaluation.ended_pins {
            pins::remove_ended(tx, user, evaluation.now()).await?;
        }
        Ok(evaluation)
    }

    /// The snapshots of several users, in their order, once their queue rows are locked.
    pub(super) async fn snapshots(
        &self,
        tx: &mut Tx<'_>,
        users: &[&str],
    ) -> Result<Vec<Snapshot>, StoreError> {
        let conditions = self.rules.have_conditions();
        snapshot::of_users(tx, users, self.verify_after, conditions).await
    }

    /// Evaluates a snapshot. A profile that was just read replaces the stored one, also one that was read in part.
    pub(super) fn evaluation(&self, mut snapshot: Snapshot, profile: Option<&Profile>) -> Evaluation<'_> {
        let conditions = self.rules.have_conditions();
        if let Some(profile) = profile.filter(|_| conditions) {
            snapshot.shown = Some(Shown::of(profile.json()));
        }
        Evaluation::of(snapshot, &self.rules)
    }

    /// Learns the time of a call that got a response.
    pub(super) fn took<T>(&self, asked: Instant, reply: &Reply<T>) {
        if let Some(at) = reply.answered_at {
            self.slots.answered(at.saturating_duration_since(asked));
        }
    }

    /// Lease of one attempt.
    pub(super) fn lease(&self) -> Duration {
        lease_for(self.request_timeout)
    }

    /// How long an unacknowledged write may still take to arrive.
    pub(super) fn settle_delay(&self) -> Duration {
        self.request_timeout + SETTLE_MARGIN
    }
}

/// Lease of one attempt: the longest duration of two calls, and our own transactions.
pub(in crate::flow) fn lease_for(request_timeout: Duration) -> Duration {
    request_timeout * 2 * EXCHANGES_PER_CALL + LEASE_MARGIN
}
