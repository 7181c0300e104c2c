//! The way through a users export job: all users of the tenant, in one file.
//!
//! Owns the job, its file and the position in it. Must never count a line twice, nor wait for a job without a bound.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::calls::Paid;
use super::progress::Progress;
use super::{DiscoveryError, Run};
use crate::auth0::{Account, CallError, ExportFile, Job};
use crate::store::StoreError;
use crate::store::discovery::{self, Discovery};
use rolekeeper_domain::plan::SeenRoles;

/// Interval at which the state of the job is read.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Longest wait for a job: Auth0 keeps one for a day.
const JOB_WITHIN: Duration = Duration::from_hours(24);
/// Attempts at the file without a new line.
const ATTEMPTS: u32 = 5;
/// Jobs created in one run of the command.
const JOBS: u32 = 3;
/// Lines after which the position is stored.
const LINES_AT_ONCE: i64 = 20_000;
/// Holders after which the position is stored.
const FOUND_AT_ONCE: usize = 500;

/// Lines that are read and not stored.
#[derive(Default)]
struct Batch {
    lines: i64,
    unreadable: i64,
    found: Vec<Account>,
}

impl Run {
    /// Reads all users from a job's file.
    pub(super) async fn export(&mut self, last: Discovery) -> Result<(), DiscoveryError> {
        let (mut job, mut lines) = (last.job, last.lines);
        let (mut attempts, mut jobs) = (0, 0);
        loop {
            let id = match job.take() {
                Some(id) => id,
                None if jobs < JOBS => {
                    jobs += 1;
                    lines = 0;
                    self.create_job().await?
                }
                None => {
                    return Err(DiscoveryError::Call(
                        "Auth0 completes no users export job".to_owned(),
                    ));
                }
            };
            let Some(location) = self.finished(&id).await? else {
                continue;
            };
            let before = lines;
            match self.read_file(&location, &mut lines).await? {
                Ok(()) => return Ok(()),
                Err(error) => {
                    attempts = if lines > before { 1 } else { attempts + 1 };
                    if attempts >= ATTEMPTS {
                        return Err(error.into());
                    }
                    self.report.line(&format!(
                        "the file of the export could not be read to its end: {error}; it is read again from line {lines} on"
                    ));
                    job = Some(id);
                }
            }
        }
    }

    async fn create_job(&mut self) -> Result<String, DiscoveryError> {
        let created = self
            .calls
            .make(Paid::Jobs, async || self.exporter.create().await)
            .await;
        let id = created?;
        self.lock.check().await?;
        self.store.discover_by_export(Some(&id)).await?;
        self.report.line(&format!("Auth0 exports all users (job {id})"));
        Ok(id)
    }

    /// Waits for a job; returns the address of its file, none if the job is lost.
    async fn finished(&mut self, id: &str) -> Result<Option<String>, DiscoveryError> {
        let until = Instant::now() + JOB_WITHIN;
        loop {
            let job = self
                .calls
                .make(Paid::Jobs, async || self.exporter.job(id).await)
                .await;
            match job? {
                Job::Done { location } => return Ok(Some(location)),
                Job::Lost(why) => {
                    self.report.line(&format!("{why}; another one is created"));
                    return Ok(None);
                }
                Job::Working(_) if Instant::now() >= until => {
                    return Err(DiscoveryError::Call(format!(
                        "the users export job {id} does not end"
                    )));
                }
                Job::Working(done) => {
                    self.report.now_and_then(|| match done {
                        Some(percent) => format!("Auth0 exports the users: {percent:.0} % done"),
                        None => "Auth0 exports the users".to_owned(),
                    });
                    sleep(POLL_INTERVAL).await;
                }
            }
        }
    }

    /// Reads a file behind the lines that are done. The inner error is one of the file: it may be read again.
    async fn read_file(
        &mut self,
        location: &str,
        lines: &mut i64,
    ) -> Result<Result<(), CallError>, DiscoveryError> {
        let mut file = match self.exporter.open(location).await {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        let (mut progress, mut batch, mut at, mut shown) = (Progress::new(), Batch::default(), 0, false);
        loop {
            let before = file.arrived;
            let line = match file.next().await {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    self.store_batch(&mut batch, lines).await?;
                    return Ok(Err(error));
                }
            };
            progress.add(difference(file.arrived, before));
            at += 1;
            if at <= *lines {
                continue;
            }
            batch.lines += 1;
            match line {
                None => batch.unreadable += 1,
                Some(account) => {
                    shown |= account.shows_app_metadata();
                    if self.may_hold(&account) {
                        batch.found.push(account);
                    }
                }
            }
            if batch.lines >= LINES_AT_ONCE || batch.found.len() >= FOUND_AT_ONCE {
                self.store_batch(&mut batch, lines).await?;
                self.report_file(&file, *lines, &progress);
            }
        }
        if !shown && at > 0 {
            self.report.line(
                "no exported user shows app_metadata: if users have it, grant the application `rolekeeper` the scope \
                 read:users_app_metadata",
            );
        }
        self.store_batch(&mut batch, lines).await?;
        Ok(Ok(()))
    }

    fn report_file(&self, file: &ExportFile, lines: i64, progress: &Progress) {
        self.report.now_and_then(|| match file.size {
            Some(size) => {
                let left = progress.left(difference(size, file.arrived));
                format!("{lines} users of the export read, {left}")
            }
            None => format!("{lines} users of the export read"),
        });
    }

    /// Whether the user may hold a managed role. Roles of an unknown form are read again, and parked.
    fn may_hold(&self, account: &Account) -> bool {
        match account.profile.roles() {
            SeenRoles::Missing => false,
            SeenRoles::Odd(_) => true,
            seen @ SeenRoles::List(_) => self.rules.as_slice().iter().any(|rule| seen.has(&rule.role)),
        }
    }

    /// Stores the users of some lines, and the position behind them.
    async fn store_batch(&mut self, batch: &mut Batch, lines: &mut i64) -> Result<(), DiscoveryError> {
        let Batch {
            lines: read,
            unreadable,
            found,
        } = std::mem::take(batch);
        if read == 0 {
            return Ok(());
        }
        self.lock.check().await?;
        let found: Vec<&Account> = found.iter().collect();
        let mut tx = self.store.begin_look_ups().await?;
        let judged = self.store_found(&mut tx, &found, None).await?;
        for (role, found) in &judged {
            discovery::add(&mut tx, role, found).await?;
        }
        discovery::advance_file(&mut tx, *lines + read, unreadable).await?;
        tx.commit().await.map_err(StoreError::from)?;
        crash_point!("batch_stored");
        *lines += read;
        Ok(())
    }
}

fn difference(later: u64, earlier: u64) -> f64 {
    later.saturating_sub(earlier) as f64
}
