//! Start, stop and crash of the whole process.
//!
//! Owns signals, the two stop tokens and the tracker that every stage runs on. Must never let a stage end unnoticed: a
//! stage that ends by itself is a crash, and the process exits non-zero.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, error, info, info_span, warn};

/// Starts stages and stops them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    stopping: CancellationToken,
    tracker: TaskTracker,
    crashed: Arc<AtomicBool>,
}

/// The name of this process, as other workers and operators see it: host and process id.
#[must_use]
pub fn process_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{}", host.trim(), std::process::id())
}

/// Longest time without a sign of life after which a stage is no longer ready.
const EXPIRES_AFTER: Duration = Duration::from_secs(30);

/// The readiness of all stages, for `/readyz`. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Report>>>);

/// The last report of a stage.
#[derive(Clone, Debug)]
struct Report {
    state: Result<&'static str, String>,
    at: Instant,
    expires: bool,
}

impl Report {
    fn state(&self) -> Result<&'static str, String> {
        let silent = self.at.elapsed();
        if self.expires && self.state.is_ok() && silent >= EXPIRES_AFTER {
            return Err(format!("no sign of life for {} s", silent.as_secs()));
        }
        self.state.clone()
    }
}

impl Readiness {
    /// Reports that the stage works, or stands by. It must report again within 30 s, by this or by [`Self::alive`].
    pub fn ready(&self, stage: &'static str, how: &'static str) {
        self.set(stage, Ok(how), true);
    }

    /// Reports that the stage is ready from now on, without expiry.
    pub fn ready_for_good(&self, stage: &'static str, how: &'static str) {
        self.set(stage, Ok(how), false);
    }

    /// Reports a sign of life; the state of the stage does not change.
    pub fn alive(&self, stage: &'static str) {
        if let Some(report) = self.lock().get_mut(stage) {
            report.at = Instant::now();
        }
    }

    /// Reports that the stage cannot work, with the reason.
    pub fn not_ready(&self, stage: &'static str, why: impl Into<String>) {
        self.set(stage, Err(why.into()), false);
    }

    fn set(&self, stage: &'static str, state: Result<&'static str, String>, expires: bool) {
        let at = Instant::now();
        self.lock().insert(stage, Report { state, at, expires });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Report>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of all stages of this worker.
    #[must_use]
    pub fn stages(&self) -> BTreeMap<&'static str, Result<&'static str, String>> {
        let reports = self.lock();
        reports
            .iter()
            .map(|(stage, report)| (*stage, report.state()))
            .collect()
    }
}

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stop was requested, and all in-flight work was finished.
    Clean,
    /// The stop was requested; work was still in flight when the grace period ended.
    Cut,
    /// A stage ended by itself.
    Crash,
}

impl Lifecycle {
    /// Cancelled when the process takes no more work.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Runs a stage until it ends.
    pub fn spawn<E: std::fmt::Display>(
        &self,
        stage: &'static str,
        run: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let this = self.clone();
        let watched = async move {
            // The state of a stage that panicked is not used again.
            let crashed = match AssertUnwindSafe(run).catch_unwind().await {
                Ok(Ok(())) if this.stopping.is_cancelled() => false,
                Ok(Ok(())) => {
                    error!(stage, "stage ended by itself");
                    true
                }
                Ok(Err(why)) => {
                    error!(stage, "stage failed: {why}");
                    true
                }
                Err(_) => {
                    error!(stage, "stage ended by a panic");
                    true
                }
            };
            if crashed {
                this.crashed.store(true, Ordering::Relaxed);
                this.stopping.cancel();
            }
        };
        self.tracker
            .spawn(watched.instrument(info_span!(parent: None, "stage", stage)));
    }

    /// Waits for SIGTERM, SIGINT or a crash, then for the stages to end: `grace` at most, or until a second signal.
    ///
    /// # Errors
    /// Signals cannot be caught here.
    pub async fn run(self, grace: Duration) -> std::io::Result<End> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: shutting down, finishing in-flight work"),
            _ = interrupt.recv() => info!("SIGINT: shutting down, finishing in-flight work"),
            () = self.stopping.cancelled() => {}
        }
        self.stopping.cancel();
        self.tracker.close();
        let finished = tokio::select! {
            () = self.tracker.wait() => true,
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
            () = tokio::time::sleep(grace) => false,
        };
        if !finished {
            warn!(
                stages = self.tracker.len(),
                "the grace period ended before all work was finished; a worker repeats the unfinished work"
            );
        }
        Ok(match (self.crashed.load(Ordering::Relaxed), finished) {
            (true, _) => End::Crash,
            (false, true) => End::Clean,
            (false, false) => End::Cut,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> Result<(), String> {
        panic!("a fault of the program")
    }

    #[tokio::test]
    async fn a_stage_that_panics_ends_the_process_as_a_crash() {
        let lifecycle = Lifecycle::default();
        let stop = lifecycle.stopping();
        lifecycle.spawn("steady", async move {
            stop.cancelled().await;
            Ok::<(), String>(())
        });
        lifecycle.spawn("broken", async { fault() });
        let ended = lifecycle.run(Duration::from_secs(20)).await;
        assert_eq!(ended.expect("signals can be caught"), End::Crash);
    }

    #[test]
    fn the_release_does_not_abort_at_a_panic() {
        let manifest = include_str!("../Cargo.toml");
        let release = manifest.split("[profile.release]").nth(1);
        assert!(release.is_some_and(|release| release.contains("\npanic = \"unwind\"")));
    }
}
