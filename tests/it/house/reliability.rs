//! The table of `docs/reliability.md` names tests; each of them exists.
//!
//! Reads the names from the text: the module of a test is the path of its file, with `tests` for a module inside it.

use std::collections::BTreeSet;
use std::{fs, path::Path};

use super::text::{blank, files, test_names, words};

/// The column with the tests, in the table of faults by their numbers and in the one of faults found.
fn tests_of(row: &str) -> &str {
    let column = if row.starts_with("| F") { 4 } else { 3 };
    row.split('|').nth(column).unwrap_or_default()
}

#[test]
fn every_test_that_the_table_names_exists() {
    let known = known();
    assert!(
        known.contains("house::reliability::every_test_that_the_table_names_exists"),
        "no tests read"
    );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let table = fs::read_to_string(file).expect("the document");
    let mut faults = Vec::new();
    let mut named = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let mut parts = tests_of(row).split('`');
        parts.next();
        while let (Some(name), Some(after)) = (parts.next(), parts.next()) {
            if let Some(fault) = fault(&known, name, after) {
                faults.push(format!("{fault}, in: {}", &row[..row.len().min(60)]));
            }
            named += usize::from(name.contains("::"));
        }
    }
    assert!(named > 100, "the table has another form");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_test_that_does_not_exist_is_noticed() {
    let known = ["fold::counts::f1_a", "fold::counts::f1_b", "merge::tests::a_b_c"].map(str::to_owned);
    let known = BTreeSet::from(known);
    for (name, after) in [
        ("fold::counts::f1_a", ""),
        ("fold::counts::*", " (2), "),
        ("fold::counts::f1_*", " (2)"),
        ("tests::a_b_c", " (unit)"),
        ("a_b_c", ""),
        ("merge::tests", " (unit)"),
        ("forgive", " repairs them"),
        ("tests/auth0/action.test.mjs", ""),
    ] {
        assert_eq!(fault(&known, name, after), None, "{name}");
    }
    for (name, after) in [
        ("fold::counts::f1_c", ""),
        ("counts::f1", ""),
        ("fold::counts::*", " (3)"),
        ("fold::losses::*", ""),
        ("a_b_d", ""),
    ] {
        assert!(fault(&known, name, after).is_some(), "{name}");
    }
}

/// The full paths of all tests, those beside the code from their package on.
pub(super) fn known() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    for (folder, package) in [
        ("src", ""),
        ("crates/domain/src", "domain::"),
        ("crates/fuzz/src", "fuzz::"),
        ("crates/models/src", "models::"),
        ("crates/sandbox/src", "sandbox::"),
        ("tests/it", ""),
    ] {
        for (path, text) in files(&root.join(folder)) {
            let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
            let module = module.replace('/', "::");
            let words = words(&blank(&text));
            let inside = words
                .windows(3)
                .any(|three| three[0] == "mod" && three[1] == "tests" && three[2] == "{");
            let inside = if inside { "::tests" } else { "" };
            for name in test_names(&words) {
                known.insert(format!("{package}{module}{inside}::{name}"));
            }
        }
    }
    known
}

/// The reason why the name, followed by this text, does not stand for tests that exist; `name (2)` stands for two.
fn fault(known: &BTreeSet<String>, name: &str, after: &str) -> Option<String> {
    let is_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:*".contains(c);
    // Words that are no names of tests: settings, files, commands.
    if !name.chars().all(is_path) || !name.contains("::") && name.matches('_').count() < 2 {
        return None;
    }
    let found = known.iter().filter(|path| stands_for(name, path)).count();
    if found == 0 {
        return Some(format!("no test `{name}`"));
    }
    let said = after.strip_prefix(" (").and_then(|after| after.split(')').next());
    let said: usize = said?.parse().ok()?;
    (said != found).then(|| format!("`{name}` are {found}, not {said}"))
}

/// `a::b` is a test, or a module with all its tests; `a::b_*` are the tests that begin so.
pub(super) fn stands_for(name: &str, path: &str) -> bool {
    let path = format!("::{path}");
    match name.strip_suffix('*') {
        Some(begin) => path
            .rfind(&format!("::{begin}"))
            .is_some_and(|at| !path[at + 2 + begin.len()..].contains("::")),
        None => path.ends_with(&format!("::{name}")) || path.contains(&format!("::{name}::")),
    }
}
