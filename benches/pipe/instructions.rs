//! Instructions of parse and tally per event, counted by valgrind, so that a noisy host does not matter.
//!
//! Owns the row of the table. `scripts/instructions.sh`, which CI runs too, does the count.

use std::process::Stdio;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::ground::Ground;
use crate::table::{Goal, Table};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SCRIPT: &str = "scripts/instructions.sh";

/// Fails without valgrind, before the long measurements and not after.
pub(crate) async fn can_count() -> Result<()> {
    let version = Command::new("valgrind").arg("--version").output().await;
    let there = version.is_ok_and(|version| version.status.success());
    anyhow::ensure!(
        there,
        "valgrind is missing: run `scripts/install.sh test`, or omit the part `instructions` with --only"
    );
    Ok(())
}

/// Adds the rows to the table.
pub(crate) async fn measure(table: &mut Table, ground: &Ground) -> Result<()> {
    let mut script = Command::new(format!("{ROOT}/{SCRIPT}"));
    script.arg("count").stderr(Stdio::inherit());
    let said = script
        .output()
        .await
        .with_context(|| format!("cannot run {SCRIPT}"))?;
    anyhow::ensure!(said.status.success(), "{SCRIPT} failed: {}", said.status);
    let said = String::from_utf8(said.stdout)?;
    let figures: Vec<f64> = said
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let here = figures
        .first()
        .with_context(|| format!("{SCRIPT} said nothing"))?;
    ground.say(&format!("parse and tally: {here} instructions an event"));
    table.row("parse and tally, instructions an event", None, &[*here]);
    // There is no ratio where compiler or processor differ from the record's.
    if let Some(recorded) = figures.get(1) {
        table.row(
            "the same over the record",
            Some(Goal::AtMost(1.05)),
            &[here / recorded],
        );
    }
    Ok(())
}
