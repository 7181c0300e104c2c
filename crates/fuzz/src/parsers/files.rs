//! Files that rolekeeper wrote, and that come back: plans and evidence. No change of a line passes.

use std::str::Lines;

use rolekeeper_domain::evidence::Verifier;
use rolekeeper_domain::preview::file::Reader;

use crate::fuzz;

/// Every line but the last one, whose digest covers these.
fn covered(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.pop();
    lines
}

/// Whether a file with the same covered lines is in the corpus.
fn is_written(text: &str, files: &[&str]) -> bool {
    files.iter().any(|file| covered(file) == covered(text))
}

fn plan(mut lines: Lines<'_>) -> Result<(), String> {
    let mut reader = Reader::default();
    reader.header(lines.next().unwrap_or_default())?;
    for line in lines {
        reader.user(line)?;
    }
    reader.end()
}

#[test]
fn fuzz_plan_files() {
    let files = [include_str!("../../../../tests/corpus/plans/two_users.ndjson")];
    fuzz("plans", |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        match plan(text.lines()) {
            Ok(()) => assert!(is_written(text, &files), "a changed plan was read"),
            Err(fault) => assert!(fault.starts_with("line "), "{fault}"),
        }
    });
}

fn evidence(text: &str) -> Result<(), String> {
    let mut verifier = Verifier::default();
    for line in text.lines() {
        verifier.line(line).map_err(|fault| fault.to_string())?;
    }
    verifier.end().map(drop).map_err(|fault| fault.to_string())
}

#[test]
fn fuzz_evidence_files() {
    let files = [
        include_str!("../../../../tests/corpus/evidence/all.ndjson"),
        include_str!("../../../../tests/corpus/evidence/sample.ndjson"),
    ];
    fuzz("evidence", |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        match evidence(text) {
            Ok(()) => assert!(is_written(text, &files), "a changed file was verified"),
            Err(fault) => assert!(fault.starts_with("line "), "{fault}"),
        }
    });
}
