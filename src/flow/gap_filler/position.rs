//! The place in the tenant's log at which the gap filler starts, or starts again.
//!
//! Owns the first checkpoint, and the reaction to one that Auth0 no longer knows. Must never lose a place without a
//! report.

use std::time::Duration;

use tracing::{error, info};

use super::{GapFiller, PAGE_PAUSE, PollError};
use crate::auth0::{CallError, LaterWhy, Page};
use crate::config::Start;
use crate::store::Checkpoint;

/// The shortest period for which a plan keeps its log: a younger checkpoint is still in it.
const SHORTEST_RETENTION: time::Duration = time::Duration::days(1);

impl GapFiller {
    /// Writes the first checkpoint at the first start.
    pub(super) async fn begin(&self) -> Result<Duration, PollError> {
        let log_id = match &self.config.start {
            Start::Oldest => return self.begin_at_the_oldest().await,
            Start::Behind(log_id) => Checkpoint {
                log_id: log_id.clone(),
                record_at: None,
            },
            Start::Newest => {
                let page = self.page(async || self.logs.newest().await).await?;
                let Some(newest) = page.into_iter().next() else {
                    return Ok(self.config.delay);
                };
                Checkpoint {
                    log_id: newest.log_id,
                    record_at: newest.date,
                }
            }
        };
        info!(log_id = log_id.log_id, "the gap filler starts after this record");
        self.store.put_log_checkpoint(&log_id).await?;
        Ok(PAGE_PAUSE)
    }

    /// Handles a checkpoint that Auth0 does not know: all records that Auth0 still keeps are read again, after a delay
    /// that grows while this repeats.
    pub(super) async fn restart(&self, at: &Checkpoint, why: &str) -> Result<Duration, PollError> {
        error!(
            log_id = at.log_id,
            "the gap filler has lost its place in the tenant's log: {why}. It starts again at the oldest record that the \
             tenant keeps; the sweep makes up for older records that were dropped"
        );
        self.begin_at_the_oldest().await?;
        Err(PollError::Lost)
    }

    /// Starts at the oldest record, which is stored together with its checkpoint since reading continues after it.
    async fn begin_at_the_oldest(&self) -> Result<Duration, PollError> {
        let page = self.page(async || self.logs.oldest().await).await?;
        if page.is_empty() {
            return Ok(self.config.delay);
        }
        self.store_records(&page, crate::clock::now()).await?;
        info!(
            log_id = page[0].log_id,
            "the gap filler starts at the oldest record"
        );
        Ok(PAGE_PAUSE)
    }

    /// Returns the page after the checkpoint, or the reason why the checkpoint is lost. A refusal counts only when
    /// Auth0 lets us read the log otherwise and refuses the same call again: a proxy in between may refuse any single
    /// call.
    pub(super) async fn behind(&self, at: &Checkpoint, take: u32) -> Result<Result<Page, String>, PollError> {
        let behind = async || self.page(async || self.logs.after(&at.log_id, take).await).await;
        match behind().await {
            Err(PollError::Call { error, .. }) if is_about_the_position(&error) => {}
            page => return page.map(Ok),
        }
        self.page(async || self.logs.newest().await).await?;
        match behind().await {
            Err(PollError::Call { error, .. }) if is_about_the_position(&error) => Ok(Err(error.to_string())),
            page => page.map(Ok),
        }
    }

    /// Whether an empty page means that the checkpoint is no longer in the log, rather than that it is the last record.
    /// Auth0 does not document its response in that case.
    pub(super) async fn is_lost(&self, at: &Checkpoint) -> Result<bool, PollError> {
        let now = crate::clock::now();
        if at.record_at.is_none_or(|date| date > now - SHORTEST_RETENTION) {
            return Ok(false);
        }
        let page = self.page(async || self.logs.newest().await).await?;
        // A younger record may have appeared between the two calls.
        Ok(page
            .iter()
            .any(|newest| newest.date > at.record_at && self.is_ready(newest, now)))
    }
}

/// Whether Auth0 may mean the checkpoint by this error, which is not documented.
fn is_about_the_position(error: &CallError) -> bool {
    let refused = matches!(
        error,
        CallError::Refused { .. }
            | CallError::Gone { .. }
            | CallError::Later {
                why: LaterWhy::NotFound,
                ..
            }
    );
    refused && !error.is_denied()
}
