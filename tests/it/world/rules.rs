//! Rules files of a story, and the rules in force.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::world::oracle::ROLE;
use crate::world::{Worker, World, text};

pub(crate) const VERSION: &str = "rolekeeper_rules_version";

/// A rules file in a folder of its own.
#[derive(Debug)]
pub(crate) struct RulesFile {
    folder: TempDir,
    version: AtomicU32,
}

impl RulesFile {
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = Self {
            folder,
            version: AtomicU32::new(1),
        };
        file.write(text);
        file
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("rules.toml")
    }

    /// Replaces it under the next version.
    pub(crate) fn write(&self, text: &str) {
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        self.write_as_is(&format!("version = {version}\n{text}"));
    }

    /// Replaces it as a whole, so that no reader finds half of it.
    pub(crate) fn write_as_is(&self, text: &str) {
        let new = self.folder.path().join("new.toml");
        std::fs::write(&new, text).expect("a writable folder");
        std::fs::rename(new, self.path()).expect("a writable folder");
    }
}

/// A rule as text; `more` are further lines of it.
pub(crate) fn rule(role: &str, grant_at: i64, revoke_below: i64, more: &str) -> String {
    format!("[[rule]]\nrole = \"{role}\"\ngrant_at = {grant_at}\nrevoke_below = {revoke_below}\n{more}\n")
}

/// A rules file with this content and version, or without a version at 0.
pub(crate) fn rules_file(version: u32, line: i64) -> RulesFile {
    let file = RulesFile::new("");
    let head = if version == 0 {
        String::new()
    } else {
        format!("version = {version}\n")
    };
    file.write_as_is(&(head + &rule(ROLE, line, line, "")));
    file
}

/// A world without workers, with a short interval of the sweep.
pub(crate) async fn without_workers() -> World {
    World::builder()
        .workers(0)
        .env("SWEEP_INTERVAL_S", 1)
        .start()
        .await
}

pub(crate) fn line_is(rules: &[Value], line: i64) -> bool {
    rules
        .iter()
        .any(|rule| rule["role"] == ROLE && rule["grant_at"] == line)
}

impl World {
    /// Waits until the rules in force meet the condition.
    pub(crate) async fn rules_in_force(&self, what: &str, are: impl Fn(&[Value]) -> bool) {
        self.eventually(what, async || {
            let rows = self.rows("SELECT rules FROM rules_in_force").await;
            let rules = rows.first().and_then(|row| row["rules"].as_array().cloned());
            rules.is_some_and(|rules| are(&rules))
        })
        .await;
    }

    pub(crate) async fn worker_of(&self, file: &RulesFile) -> Worker {
        let path = file.path().display().to_string();
        self.start_worker_with(&[("RULES_FILE", &path)]).await
    }

    pub(crate) async fn line_in_force(&self, what: &str, line: i64) {
        self.rules_in_force(what, |rules: &[Value]| line_is(rules, line))
            .await;
    }

    /// Waits until the worker uses rules of this version, in all its active or standby stages.
    pub(crate) async fn works_under(&self, worker: &Worker, version: i64) {
        self.eventually("it works under the rules in force", async || {
            worker.count(VERSION).await == Some(version) && worker.is_ready().await
        })
        .await;
    }

    pub(crate) async fn rules(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(&[&["rules"], arguments].concat()).await;
        (output.status.success(), text(&output))
    }
}
