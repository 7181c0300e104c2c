//! The running program `rolekeeper-tenant`, and what a story asks of it.
//!
//! Owns its start, its end and the calls. Must never leave the process behind: dropped, it is killed.

use std::fs;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

pub(super) const BOUND: Duration = Duration::from_secs(20);

/// The running program, and what it printed before it was ready.
pub(super) struct StandIn {
    child: Child,
    lines: Vec<String>,
    http: reqwest::Client,
}

fn program(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rolekeeper-tenant"));
    program.args(args).stdin(Stdio::null()).kill_on_drop(true);
    program
}

impl StandIn {
    pub(super) async fn start(args: &[&str]) -> Self {
        let mut child = program(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines: Vec<String> = vec![];
        while !lines.last().is_some_and(|line| line.starts_with("ready")) {
            let line = timeout(BOUND, output.next_line()).await.expect("no line in time");
            lines.push(line.unwrap().expect("it ended before it was ready"));
        }
        // reqwest asks for a provider even where it speaks plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(BOUND);
        Self {
            child,
            lines,
            http: http.build().unwrap(),
        }
    }

    /// The value of one of the aligned lines.
    pub(super) fn shown(&self, name: &str) -> &str {
        let line = |line: &'_ &String| line.trim_start().starts_with(name);
        let found = self.lines.iter().find(line).expect("no such line");
        found.trim_start()[name.len()..].trim()
    }

    pub(super) async fn token(&self) -> Value {
        let asked = json!({
            "grant_type": "client_credentials", "client_id": self.shown("client id"),
            "client_secret": self.shown("client secret"), "audience": self.shown("Management API"),
        });
        self.token_for(asked).await
    }

    pub(super) async fn token_for(&self, asked: Value) -> Value {
        let request = self.http.post(self.shown("token endpoint")).json(&asked);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(super) async fn call(&self, token: &Value, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.shown("Management API"));
        let request = self.http.request(method.parse().unwrap(), url).json(&body);
        let request = request.bearer_auth(token["access_token"].as_str().unwrap());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(super) async fn end_by(mut self, signal: Signal) -> ExitStatus {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        kill(pid, signal).unwrap();
        timeout(BOUND, self.child.wait())
            .await
            .expect("it goes on")
            .unwrap()
    }
}

/// What the program says when it refuses to start.
pub(super) async fn refusal(args: &[&str]) -> String {
    let output = timeout(BOUND, program(args).output()).await;
    let output = output.expect("it goes on").unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

pub(super) fn file(content: &str) -> (NamedTempFile, String) {
    let file = NamedTempFile::new().unwrap();
    fs::write(&file, content).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

pub(super) async fn gone(path: &Path) {
    let gone = async {
        while path.exists() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(BOUND, gone).await.expect("it stays");
}
