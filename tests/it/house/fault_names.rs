//! The faults of `docs/reliability.md` by their numbers: each has tests that begin with its number, and a file with such tests quotes the
//! fault with all that must hold.
//!
//! Reads text; it cannot tell whether a test asserts all that its file quotes.

use std::collections::BTreeSet;
use std::{fs, path::Path};

use super::reliability::{known, stands_for};
use super::text::files;

/// The faults that have numbers.
const FAULTS: u32 = 60;

/// One row of the table.
struct Fault {
    number: u32,
    quote: String,
    /// The names of tests that it lists.
    listed: Vec<String>,
}

impl Fault {
    /// How the name of each of its tests begins.
    fn prefix(&self) -> String {
        format!("f{:02}_", self.number)
    }

    /// The reasons why these paths of tests and this text of their file do not belong to the fault.
    fn faults(&self, tests: &[&String], file: &str) -> Vec<String> {
        let unlisted = |path: &&&String| !self.listed.iter().any(|name| stands_for(name, path));
        let mut faults: Vec<String> = tests
            .iter()
            .filter(unlisted)
            .map(|path| format!("F{} does not list {path}", self.number))
            .collect();
        if !tests.is_empty() && !comments(file).contains(&self.quote) {
            faults.push(format!("{} is without the quote: {}", tests[0], self.quote));
        }
        faults
    }
}

#[test]
fn each_fault_has_tests_by_its_number_that_quote_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("docs/reliability.md")).expect("the document");
    let table: Vec<Fault> = table.lines().filter_map(row).collect();
    let numbers: Vec<u32> = table.iter().map(|fault| fault.number).collect();
    assert_eq!(numbers, (1..=FAULTS).collect::<Vec<_>>());
    let known = known();
    let (mut faults, mut tested) = (Vec::new(), BTreeSet::new());
    for (path, text) in files(&root.join("tests/it")) {
        let module = path.trim_end_matches(".rs").replace('/', "::");
        for fault in &table {
            let begin = format!("{module}::{}", fault.prefix());
            let tests: Vec<&String> = known.iter().filter(|path| path.starts_with(&begin)).collect();
            if !tests.is_empty() {
                tested.insert(fault.number);
            }
            faults.extend(fault.faults(&tests, &text));
        }
    }
    let untested = numbers.iter().filter(|number| !tested.contains(number));
    faults.extend(untested.map(|number| format!("F{number} has no test f{number:02}_…")));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_fault_without_its_quote_is_noticed() {
    let fault =
        row("| F7 | it is deleted | it is `made` again | `fold::a::*`, `fold::b::f07_c` |").expect("a row");
    let tests = ["fold::a::f07_x".to_owned(), "fold::b::f07_c".to_owned()];
    let tests: Vec<&String> = tests.iter().collect();
    let quoted = "//! F7: it is deleted:\n//! it is `made` again. More.";
    assert_eq!(fault.faults(&tests, quoted), Vec::<String>::new());
    assert_eq!(fault.faults(&tests, "//! F7: it is deleted.").len(), 1);
    let other = "fold::b::f07_d".to_owned();
    assert_eq!(
        fault.faults(&[&other], quoted),
        ["F7 does not list fold::b::f07_d"]
    );
    assert!(row("| fault | what happens | what must hold | tests |").is_none());
}

/// The fault of a line of the table: number, what happens, what must hold, tests.
fn row(line: &str) -> Option<Fault> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let number = cells.get(1)?.strip_prefix('F')?.parse().ok()?;
    Some(Fault {
        number,
        quote: format!("F{number}: {}: {}", cells.get(2)?, cells.get(3)?),
        listed: cells
            .get(4)?
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    })
}

/// The comments of a file as one line.
fn comments(file: &str) -> String {
    let parts = file.lines().filter_map(|line| {
        let comment = line.trim_start().strip_prefix("//")?;
        Some(comment.trim_start_matches(['/', '!']).trim())
    });
    parts.collect::<Vec<_>>().join(" ")
}
