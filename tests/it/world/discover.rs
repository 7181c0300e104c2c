//! Holders who were there before rolekeeper, and the command that finds them.
//!
//! Owns the users with their times of creation, and the command as a process that a story kills.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rolekeeper_sandbox::tenant::{Call, Endpoint};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use tokio::process::{Child, Command};

use super::oracle::ROLE;
use super::{CLIENT, World, binary, poll};

const FIRST: OffsetDateTime = datetime!(2024-02-29 10:00:00.001 UTC);
/// Longest time of a run, or until it is where a story kills it.
const RUN_WITHIN: Duration = Duration::from_mins(3);
static RUNS: AtomicU32 = AtomicU32::new(0);

/// A run of the command, and the file with its output.
pub(crate) struct Run {
    process: Child,
    output: PathBuf,
}

impl Run {
    /// Kills the run as soon as it is that far.
    pub(crate) async fn killed_when(mut self, far: impl AsyncFn() -> bool) {
        let mut ended = None;
        let there = async || {
            ended = self.process.try_wait().expect("its state");
            (ended.is_some() || far().await).then_some(())
        };
        poll(RUN_WITHIN, there).await.expect("it comes that far");
        assert!(ended.is_none(), "it ended by itself: {}", self.text());
        self.process.kill().await.expect("it ends");
    }

    /// Waits for the end of a run that must succeed; returns its output.
    pub(crate) async fn result(mut self) -> String {
        let status = tokio::time::timeout(RUN_WITHIN, self.process.wait()).await;
        let said = self.text();
        assert!(
            status.expect("it ends in time").expect("it ran").success(),
            "{said}"
        );
        said
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.output).expect("its output")
    }
}

impl World {
    /// Users of another time, each created this many seconds after the first one; with these roles.
    pub(crate) fn imported(&self, name: &str, created: impl IntoIterator<Item = u32>, roles: &[&str]) {
        for (number, seconds) in created.into_iter().enumerate() {
            let at = FIRST + time::Duration::seconds(i64::from(seconds));
            let user = json!({
                "user_id": format!("auth0|{name}{number}"),
                "created_at": at.format(&Rfc3339).expect("a date"),
                "app_metadata": {"roles": roles},
            });
            self.tenant.import_user(user).expect("a user of another tenant");
        }
    }

    /// Starts the command.
    pub(crate) fn discover(&self, folder: &Path) -> Run {
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let output = folder.join(format!("discover-{run}.txt"));
        let file = std::fs::File::create(&output).expect("a file");
        let process = Command::new(binary())
            .arg("discover")
            .env_clear()
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stderr(file.try_clone().expect("a second handle"))
            .stdout(file)
            .kill_on_drop(true)
            .spawn();
        Run {
            process: process.expect("the binary runs"),
            output,
        }
    }

    /// The worker's searches and exports so far.
    pub(crate) fn discoveries(&self) -> Vec<Call> {
        let of = |call: &&Call| {
            let found = [
                Endpoint::ListUsers,
                Endpoint::ExportUsers,
                Endpoint::ReadJob,
                Endpoint::ExportFile,
            ];
            found.contains(&call.endpoint) && call.client.as_deref().is_none_or(|client| client == CLIENT)
        };
        self.tenant
            .with_calls(|calls| calls.iter().filter(of).cloned().collect())
    }

    /// Unadopted holders of the role.
    pub(crate) async fn unadopted(&self) -> i64 {
        let holders =
            "SELECT count(*) FROM assignments WHERE role = 'playlist_editor' AND has_role AND NOT adopted";
        self.number(holders).await.expect("a number")
    }
}

/// The first line of the result, for this number of holders.
pub(crate) fn found(number: usize) -> String {
    let holders = if number == 1 { "user holds" } else { "users hold" };
    format!("{ROLE}: {number} {holders} the role at Auth0\n")
}
