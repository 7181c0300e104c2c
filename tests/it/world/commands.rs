//! Commands of the binary, as an operator runs them.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use super::World;

/// Longest a command may take.
pub(crate) const COMMAND_WITHIN: Duration = Duration::from_mins(1);

impl World {
    /// Runs a command of the binary to its end.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(arguments, &[]).await
    }

    /// Runs a command of the binary with other settings.
    pub(crate) async fn command_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = tokio::process::Command::new(binary());
        command.args(arguments).env_clear().envs(self.env.iter().cloned());
        command.envs(env.iter().copied()).kill_on_drop(true);
        let output = tokio::time::timeout(COMMAND_WITHIN, command.output()).await;
        output
            .expect("a command takes less than a minute")
            .expect("the binary runs")
    }

    /// Runs a command that must succeed; returns its output.
    pub(crate) async fn told(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
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
