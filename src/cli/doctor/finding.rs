//! The result of a check.
//!
//! Owns the four states, the form of a line and the exit code. Must never wait for a check longer than its bound.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::super::output::say;
use rolekeeper_domain::explanation::plain;

/// Longest time of one check.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// All is as it must be.
    Ok,
    /// A worker runs, with a risk that the text names.
    Warning,
    /// The check could not be made.
    Unchecked,
    /// A worker cannot do its work.
    Fault,
}

/// One line of the output.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    check: &'static str,
    state: State,
    text: String,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unchecked => "unchecked",
            Self::Fault => "fault",
        }
    }
}

impl Finding {
    fn new(check: &'static str, state: State, text: impl Into<String>) -> Self {
        // The text may quote a server: one line, without an effect on the terminal.
        let text = text.into();
        let text = plain(text.trim_end());
        Self { check, state, text }
    }

    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Ok, text)
    }

    pub(super) fn warning(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Warning, text)
    }

    pub(super) fn unchecked(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Unchecked, text)
    }

    pub(super) fn fault(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Fault, text)
    }

    /// A check that succeeded with the text, or the fault that its error names.
    pub(super) fn of<E: std::fmt::Display>(check: &'static str, result: Result<String, E>) -> Self {
        match result {
            Ok(text) => Self::ok(check, text),
            Err(why) => Self::fault(check, why.to_string()),
        }
    }

    pub(super) fn is_fault(&self) -> bool {
        matches!(self.state, State::Fault | State::Unchecked)
    }
}

/// Makes a check, for as long as a check may take.
pub(super) async fn bounded(check: &'static str, made: impl Future<Output = Finding>) -> Finding {
    let made = tokio::time::timeout(CHECK_WITHIN, made).await;
    made.unwrap_or_else(|_| {
        Finding::unchecked(check, format!("no response within {} s", CHECK_WITHIN.as_secs()))
    })
}

/// The finding of a part whose settings have a fault.
pub(super) fn without_settings(name: &'static str) -> Vec<Finding> {
    vec![Finding::unchecked(
        name,
        "its settings have a fault, see configuration",
    )]
}

/// Prints the findings, and returns the exit code that they mean.
pub(super) fn report(findings: &[Finding], as_json: bool) -> ExitCode {
    for Finding { check, state, text } in findings {
        if as_json {
            say!(
                "{}",
                json!({"check": check, "state": state.as_str(), "text": text})
            );
        } else {
            say!("{:9}  {check:20}  {text}", state.as_str());
        }
    }
    let any = |state| findings.iter().any(|finding| finding.state == state);
    ExitCode::from(match (any(State::Fault), any(State::Unchecked)) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    })
}
