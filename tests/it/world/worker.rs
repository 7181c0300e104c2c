//! One worker: the real binary as a child process.
//!
//! Owns its signals, its log file and its ops listener. It ends with the world's folder, for any end of the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rolekeeper_sandbox::servers::Process;
use rolekeeper_sandbox::servers::folder::{self, Folder};
use serde_json::Value;

use super::poll;

/// Longest time to the end after SIGKILL, and until SIGSTOP has stopped all threads.
const KILLED_WITHIN: Duration = Duration::from_secs(10);
/// Longest time until the listeners are there.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// A worker that is stopped or busy does not respond; the wait for it is short.
const ANSWERS_WITHIN: Duration = Duration::from_secs(4);

/// A started worker; a clone is the same worker.
#[derive(Clone, Debug)]
pub(crate) struct Worker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    process: Mutex<Process>,
    log: PathBuf,
    http: reqwest::Client,
    /// The test ended it, or waits for its end.
    may_end: AtomicBool,
}

impl Worker {
    pub(super) fn spawn(
        folder: &Folder,
        name: &str,
        env: &[(String, String)],
        http: &reqwest::Client,
    ) -> Self {
        let log = folder.path().join(format!("{name}.log"));
        let binary = super::binary();
        let files = env.iter().find(|(name, _)| name == "OPEN_FILES");
        let mut command = if let Some((_, files)) = files {
            // A setting of the test's own: how many files the worker may open.
            let mut command = folder.command(name, Path::new("prlimit"), "KILL");
            command.arg(format!("--nofile={files}:{files}")).arg(&binary);
            command
        } else {
            folder.command(name, &binary, "KILL")
        };
        command.arg("serve").env_clear().envs(env.iter().cloned());
        command.stdout(fs::File::create(&log).expect("a log file"));
        command.stderr(
            fs::OpenOptions::new()
                .append(true)
                .open(&log)
                .expect("a log file"),
        );
        let process = folder::spawn(command).expect("sh starts");
        Self(Arc::new(Inner {
            name: name.to_owned(),
            process: Mutex::new(process),
            log,
            http: http.clone(),
            may_end: AtomicBool::new(false),
        }))
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.0.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill9(&self) {
        self.send(Signal::SIGKILL);
        self.wait(KILLED_WITHIN).await;
    }

    /// SIGTERM; returns the exit status. Fails the test if that takes longer than `within`.
    pub(crate) async fn sigterm(&self, within: Duration) -> ExitStatus {
        self.send(Signal::SIGTERM);
        self.wait(within).await
    }

    /// Freezes it; returns when all of its threads have stopped. On a busy machine the thread that gets the signal may wait for
    /// a processor, and the others go on until then.
    pub(crate) fn sigstop(&self) {
        self.process()
            .signal(Signal::SIGSTOP)
            .expect("a signal to our own child");
        let (threads, since) = (format!("/proc/{}/task", self.pid()), Instant::now());
        while !have_stopped(&threads) {
            assert!(since.elapsed() < KILLED_WITHIN, "{} does not stop", self.name());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Continues it.
    pub(crate) fn sigcont(&self) {
        self.process()
            .signal(Signal::SIGCONT)
            .expect("a signal to our own child");
    }

    /// Sends a signal that may end it.
    pub(crate) fn send(&self, signal: Signal) {
        self.0.may_end.store(true, Ordering::Relaxed);
        self.process().signal(signal).expect("a signal to our own child");
    }

    /// The test expects that it ends, at a moment that the test does not choose.
    pub(crate) fn may_end(&self) {
        self.0.may_end.store(true, Ordering::Relaxed);
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self, within: Duration) -> ExitStatus {
        self.0.may_end.store(true, Ordering::Relaxed);
        let ended = poll(within, async || self.ended()).await;
        ended.unwrap_or_else(|| {
            panic!(
                "{} still runs after {within:?}\n{}",
                self.name(),
                self.log_tail(40)
            )
        })
    }

    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.process().ended().expect("a child of ours")
    }

    /// Ended although the test did nothing to end it.
    pub(super) fn died(&self) -> Option<ExitStatus> {
        let ended = self.ended()?;
        (!self.0.may_end.load(Ordering::Relaxed)).then_some(ended)
    }

    /// The whole log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.0.log).unwrap_or_default()
    }

    pub(crate) fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        format!(
            "== log of {} ==\n{}",
            self.name(),
            all[all.len().saturating_sub(lines)..].join("\n")
        )
    }

    /// Messages of its log, without fields.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.messages_if(|_| true)
    }

    /// Those of them that are errors.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.messages_if(|line| line["level"] == "ERROR")
    }

    fn messages_if(&self, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
        let log = self.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(wanted)
            .filter_map(|line| line["message"].as_str().map(str::to_owned))
            .collect()
    }

    /// The address of a listener, by its setting.
    pub(crate) async fn address(&self, setting: &str) -> String {
        let found = poll(LISTENS_WITHIN, async || {
            if let Some(status) = self.ended() {
                panic!(
                    "{} ended at its start ({status})\n{}",
                    self.name(),
                    self.log_tail(40)
                );
            }
            let log = self.log();
            let mut lines = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let line = lines.find(|line| line["message"] == "listening" && line["setting"] == setting)?;
            line["address"].as_str().map(str::to_owned)
        });
        let found = found.await;
        found.unwrap_or_else(|| panic!("{} does not listen\n{}", self.name(), self.log_tail(40)))
    }

    /// GET from the ops listener; none when it does not respond.
    pub(crate) async fn get(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://{}{path}", self.address("OPS_LISTEN").await);
        let answer = self.0.http.get(url).timeout(ANSWERS_WITHIN).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Returns true if `/readyz` responds 200.
    pub(crate) async fn is_ready(&self) -> bool {
        self.get("/readyz").await.is_some_and(|(status, _)| status == 200)
    }

    /// Returns true if the stage works, rather than stands by.
    pub(crate) async fn is_active(&self, stage: &str) -> bool {
        let answer = self.get(&format!("/readyz/{stage}")).await;
        answer.is_some_and(|(_, text)| text == format!("{stage}: active\n"))
    }

    /// A metric by its name and labels as printed, such as `rolekeeper_fold_active{stream="APP_EVENTS"}`. NaN, which
    /// fails every comparison, when the worker does not respond.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let Some((_, text)) = self.get("/metrics").await else {
            return f64::NAN;
        };
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = values
            .next()
            .unwrap_or_else(|| panic!("no series {series} in:\n{text}"));
        value.parse().expect("the value of a metric")
    }

    /// A metric that is an integer; none when the worker does not respond.
    pub(crate) async fn count(&self, series: &str) -> Option<i64> {
        let value = self.metric(series).await;
        value
            .is_finite()
            .then(|| format!("{value:.0}").parse().expect("a whole number"))
    }

    /// Its peak memory, in MiB.
    pub(crate) fn peak_memory_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a running worker");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("VmHWM");
        line.trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .expect("a number")
            >> 10
    }

    /// Posts to its webhook; the status, none when it does not respond.
    pub(crate) async fn post_logs(&self, token: &str, body: impl Into<reqwest::Body>) -> Option<u16> {
        let url = format!("http://{}/auth0/logs", self.address("LISTEN").await);
        let request = self.0.http.post(url).header("authorization", token).body(body);
        Some(request.send().await.ok()?.status().as_u16())
    }
}

/// Whether all threads in this folder are stopped; true for a process that has ended.
fn have_stopped(threads: &str) -> bool {
    let threads = fs::read_dir(threads).into_iter().flatten().flatten();
    let mut states = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    // The state follows the name, which is in parentheses.
    states.all(|stat| {
        stat.rsplit(')').next().is_some_and(|rest| {
            matches!(
                rest.trim_start().as_bytes().first(),
                Some(b'T' | b't' | b'Z' | b'X')
            )
        })
    })
}
