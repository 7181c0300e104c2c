//! Commands of the binary, as an operator runs them.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use nix::sys::signal::Signal;
use rolekeeper_sandbox::servers::Process;
use rolekeeper_sandbox::servers::folder;

use super::{World, poll};

/// Longest a command may take.
pub(crate) const COMMAND_WITHIN: Duration = Duration::from_mins(1);

impl World {
    /// Runs a command of the binary to its end.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(arguments, &[]).await
    }

    /// Runs a command of the binary with other settings.
    pub(crate) async fn command_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = self.process(arguments);
        command.envs(env.iter().copied());
        let output = tokio::time::timeout(COMMAND_WITHIN, command.output()).await;
        output
            .expect("a command takes less than a minute")
            .expect("the binary runs")
    }

    /// Runs a command with this file as its standard input.
    pub(crate) async fn command_from(&self, arguments: &[&str], input: fs::File) -> Output {
        let mut command = self.process(arguments);
        let output = tokio::time::timeout(COMMAND_WITHIN, command.stdin(input).output()).await;
        output
            .expect("a command takes less than a minute")
            .expect("the binary runs")
    }

    /// Runs a command whose output and errors are read from closed pipes; returns whether it succeeded.
    pub(crate) async fn unread(&self, arguments: &[&str]) -> bool {
        let [(out, output), (err, errors)] = [(); 2].map(|()| std::io::pipe().expect("a pipe"));
        drop((out, err));
        let mut command = self.process(arguments);
        command.stdout(output).stderr(errors);
        let status = tokio::time::timeout(COMMAND_WITHIN, command.status()).await;
        let status = status.expect("a command takes less than a minute");
        status.expect("the binary runs").success()
    }

    fn process(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(binary());
        command.args(arguments).env_clear().envs(self.env.iter().cloned());
        command.kill_on_drop(true);
        command
    }

    /// Runs a command that must succeed; returns its output.
    pub(crate) async fn told(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A command that runs beside the story.
#[derive(Debug)]
pub(crate) struct Running {
    process: Process,
    output: PathBuf,
}

impl World {
    /// Starts a command of the binary, at most one in a story.
    pub(crate) fn begin_command(&self, arguments: &[&str]) -> Running {
        let output = self.folder.path().join("command.log");
        let file = || {
            let file = fs::OpenOptions::new().create(true).append(true).open(&output);
            file.expect("a log file")
        };
        let mut command = self.folder.command("command", &binary(), "KILL");
        command.args(arguments).env_clear().envs(self.env.iter().cloned());
        command.stdout(file()).stderr(file());
        let process = folder::spawn(command).expect("sh starts");
        Running { process, output }
    }
}

impl Running {
    /// Sends a signal.
    pub(crate) fn send(&mut self, signal: Signal) {
        self.process.signal(signal).expect("a signal to our own child");
    }

    /// Whether it succeeded, and its output; none while it runs.
    pub(crate) fn ended_by_now(&mut self) -> Option<(bool, String)> {
        let status = self.process.ended().expect("a child of ours")?;
        Some((
            status.success(),
            fs::read_to_string(&self.output).unwrap_or_default(),
        ))
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> (bool, String) {
        let ended = poll(COMMAND_WITHIN, async || self.ended_by_now()).await;
        ended.expect("a command takes less than a minute")
    }
}

/// The binary under test: the one just built, or `ROLEKEEPER_BIN`, so that the stories can test an older one.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("ROLEKEEPER_BIN").map_or_else(|| env!("CARGO_BIN_EXE_rolekeeper").into(), PathBuf::from)
}

/// The output of a command.
pub(crate) fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}
