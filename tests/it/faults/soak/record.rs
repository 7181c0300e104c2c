//! The steps of a soak, each with its time, and their number by kind.
//!
//! Owns the file that a failure leaves. Must never take part in the comparison.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write as _};
use std::fs;
use std::path::PathBuf;

use tokio::time::Instant;

use crate::world::World;

/// The steps of a soak.
pub(super) struct Record {
    seed: u64,
    since: Instant,
    text: String,
    kinds: BTreeMap<String, u64>,
}

impl Record {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            since: Instant::now(),
            text: String::new(),
            kinds: BTreeMap::new(),
        }
    }

    /// Notes a step; its text begins with its kind, before a colon.
    pub(super) fn step(&mut self, done: &str) {
        let _ = writeln!(self.text, "{:9.3} {done}", self.since.elapsed().as_secs_f64());
        let kind = done.split(':').next().unwrap_or_default();
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
    }

    /// Notes the end of a round, and shows it in a long run.
    pub(super) fn round(&mut self, number: u32, wrong: &[String]) {
        let _ = writeln!(
            self.text,
            "{:9.3} end of round {number}, {} differences",
            self.since.elapsed().as_secs_f64(),
            wrong.len()
        );
        println!("{:.0} s: round {number}", self.since.elapsed().as_secs_f64());
    }

    /// Writes steps, differences, histories and logs to a file in the folder `SOAK_HISTORY`, if that is set; says where they are.
    pub(super) fn keep(&self, world: &World, wrong: &[String]) -> String {
        let Some(folder) = std::env::var_os("SOAK_HISTORY").map(PathBuf::from) else {
            return "no history kept".to_owned();
        };
        let mut text = format!("{}\n\n{}\n", wrong.join("\n"), self.text);
        for user in world.tenant.users() {
            let user = user["user_id"].as_str().unwrap_or_default();
            let _ = writeln!(text, "== {user}");
            for version in world.tenant.history(user) {
                let _ = writeln!(text, "{version:?}");
            }
        }
        for worker in world.workers() {
            let _ = writeln!(text, "== {}\n{}", worker.name(), worker.log());
        }
        let file = folder.join(format!("{}.txt", self.seed));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&file, text))
            .map_or_else(|why| why.to_string(), |()| file.display().to_string())
    }
}

impl Display for Record {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let kinds = self.kinds.iter().map(|(kind, number)| format!("{number} {kind}"));
        to.write_str(&kinds.collect::<Vec<_>>().join(", "))
    }
}
