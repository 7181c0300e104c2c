//! Folds a stream into Postgres, each message exactly once.
//!
//! Owns the cursor's journey: lock, start at the cursor, check every delivery, commit facts and cursor in one
//! transaction. Whatever goes wrong ends the term, and the next term starts at the cursor Postgres has. Must
//! never skip a message in silence: one that cannot be read becomes a dead letter, one that is gone stops the
//! fold until a person accepts the loss.

mod adds;
mod app_events;
mod auth0_logs;
mod filling;
mod follow;
mod nominees;
mod numbers;
mod repeats;
mod term;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::patience::Patience;
use crate::bus::{APP_EVENTS, AUTH0_LOGS, Bus, Message};
use crate::domain::event::Reject;
use crate::domain::horizon::Horizon;
use crate::domain::rule::Rules;
use crate::lifecycle::Readiness;
use crate::metrics::Metrics;
use crate::store::{DeadLetter, Lock, Store};
use term::{Term, TermEnd, TermError};

/// How often a standby tries for the lock: a takeover takes this long at most after a clean exit.
const STANDBY_POLL: Duration = Duration::from_millis(500);
/// How often a stopped fold looks whether its loss was accepted, and how often other rules are looked at.
const STOPPED_POLL: Duration = Duration::from_secs(2);

/// Which stream is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Plays and playlists.
    AppEvents,
    /// The tenant's log.
    Auth0Logs,
}

impl Source {
    /// Name of the stream.
    #[must_use]
    pub fn stream(self) -> &'static str {
        match self {
            Self::AppEvents => APP_EVENTS,
            Self::Auth0Logs => AUTH0_LOGS,
        }
    }

    /// Name of the stage.
    #[must_use]
    pub fn stage(self) -> &'static str {
        match self {
            Self::AppEvents => "fold_app_events",
            Self::Auth0Logs => "fold_auth0_logs",
        }
    }

    fn lock(self) -> Lock {
        match self {
            Self::AppEvents => Lock::FoldAppEvents,
            Self::Auth0Logs => Lock::FoldAuth0Logs,
        }
    }
}

/// The fold of one stream.
#[derive(Clone, Debug)]
pub struct Fold {
    /// Which stream.
    pub source: Source,
    /// Where facts go.
    pub store: Store,
    /// Where messages come from.
    pub bus: Bus,
    /// What is counted as it happens.
    pub metrics: Arc<Metrics>,
    /// How the stage stands.
    pub readiness: Readiness,
    /// The rules this worker knows; they may change while it runs.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// Most messages in one transaction.
    pub batch: usize,
    /// How long ids of app events are remembered, if at all.
    pub dedup_horizon: Option<Horizon>,
    /// Our own client id at Auth0, where it is known.
    pub own_client_id: Option<String>,
}

/// What one transaction did, counted once it is committed.
#[derive(Debug, Default)]
struct Done {
    messages: u64,
    /// Those that were dropped because they name a person who was erased.
    erased: u64,
    /// Those that were dropped because they were counted before.
    repeats: u64,
    rejected: Vec<&'static str>,
}

impl Fold {
    /// Folds until told to stop.
    ///
    /// # Errors
    /// None: whatever fails is tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        let mut patience = Patience::new(self.source.stage());
        self.readiness.not_ready(self.source.stage(), "starting");
        while !stop.is_cancelled() {
            let ended = Term::new(&self).run(&mut patience, &stop).await;
            self.metrics
                .fold_active
                .with_label_values(&[self.source.stream()])
                .set(0);
            let pause = match ended {
                Ok(TermEnd::Stopping) => break,
                Ok(TermEnd::Standby) => STANDBY_POLL,
                Ok(TermEnd::Stopped) => STOPPED_POLL,
                Ok(TermEnd::OtherRules) => Duration::ZERO,
                Err(TermError::Read(why)) => {
                    // Ordinary: the server restarted, or a delivery was missed. Start again at the cursor.
                    info!(
                        stream = self.source.stream(),
                        "{why}; starting again at the cursor"
                    );
                    self.metrics
                        .reader_restarts
                        .with_label_values(&[self.source.stream()])
                        .inc();
                    Duration::ZERO
                }
                Err(why) => {
                    self.readiness.not_ready(self.source.stage(), why.shown());
                    patience.wait(&why, &stop).await;
                    Duration::ZERO
                }
            };
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        Ok(())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stream())
    }
}

/// Unix nanoseconds as a date; a time outside the calendar is clamped to 1970.
fn at(unix_ns: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ns)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A message that could not be read, to be kept.
fn dead_letter<'m>(message: &'m Message, reject: &Reject) -> DeadLetter<'m> {
    DeadLetter {
        seq: message.seq.cast_signed(),
        subject: message.subject(),
        reason: reject.reason.as_str(),
        detail: reject.detail.clone(),
        payload: message.payload(),
        stored_at: at(message.stored_ns),
    }
}
