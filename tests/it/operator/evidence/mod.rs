//! `rolekeeper evidence`: the completed role changes of a period, and the chain of hashes over them.

mod acts;
mod broken;
mod chain;
mod erased;
mod file;
mod period;

use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::world::World;

/// Completed changes without a place in the chain.
const UNCHAINED: &str =
    "SELECT count(*) FROM role_changes WHERE completed_at IS NOT NULL AND chain_position IS NULL";
/// The period of all stories.
const PERIOD: [&str; 3] = ["evidence", "--from", "2000-01-01"];

/// Waits until each completed change has its place.
pub(super) async fn chained(world: &World) {
    world
        .count_is("all completed changes are in the chain", UNCHAINED, 0)
        .await;
}

/// SHA-256 of a text in hex.
fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// Writes the evidence of all changes to a file.
async fn written(world: &World, file: &Path, more: &[&str]) {
    let file = ["-o", file.to_str().expect("UTF-8")];
    world.told(&[&PERIOD, &file[..], more].concat()).await;
}

/// The lines of a file as JSON.
fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("the file is there");
    let parsed = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    parsed.collect()
}

/// Checks a file where Postgres cannot be reached; returns the exit code and the text.
async fn verified(world: &World, file: &Path) -> (Option<i32>, String) {
    let nowhere = [("DATABASE_URL", "postgres://nowhere:1@127.0.0.1:1/none")];
    let verify = ["evidence", "verify", file.to_str().expect("UTF-8")];
    let output = world.command_with(&verify, &nowhere).await;
    (output.status.code(), crate::world::text(&output))
}
