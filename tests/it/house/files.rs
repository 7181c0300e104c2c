//! Rules for every file: its head, its length, the names of its tests, and what no file may contain.

use std::path::Path;

use super::text::{blank, files, test_names, words};

const MAX_LINES: usize = 400;
const MAX_MAIN_LINES: usize = 25;
/// A name that is longer tells two stories, or explains itself instead of its assertions.
const MAX_TEST_NAME: usize = 60;

#[test]
fn every_file_keeps_the_rules_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for folder in [
        "src",
        "crates/domain",
        "crates/fuzz",
        "crates/models",
        "crates/sandbox",
        "tests",
        "benches",
    ] {
        let found = files(&root.join(folder));
        // A scan without any file must not pass.
        assert!(!found.is_empty(), "nothing to check in {folder}");
        for (path, text) in found {
            let path = format!("{folder}/{path}");
            faults.extend(
                house_faults(&path, &text)
                    .into_iter()
                    .map(|fault| format!("{path}: {fault}")),
            );
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_house_rules_see_what_they_must() {
    let long = format!("//! Long.\n{}", "\n".repeat(MAX_LINES));
    let long_main = format!("//! Long.\n{}", "\n".repeat(MAX_MAIN_LINES));
    let name = "a".repeat(MAX_TEST_NAME);
    let [short_name, long_name] =
        [name.clone(), name + "a"].map(|name| format!("//! Fold.\n#[tokio::test]\nasync fn {name}() {{}}\n"));
    let cases: &[(&str, &str, &str)] = &[
        ("src/store/users.rs", "//! Users.\nfn f() {}\n", ""),
        ("src/store/users.rs", "fn f() {}\n", "opens with `//!`"),
        (
            "src/store/users.rs",
            "//! Users.\nfn f() { todo!() }\n",
            "`todo!`",
        ),
        (
            "src/store/users.rs",
            "//! Users.\nfn f() { dbg!(1); }\n",
            "`dbg!`",
        ),
        (
            "src/cli/brake.rs",
            "//! Brakes.\nfn f() { println!(); }\n",
            "`println!`",
        ),
        (
            "tests/it/fold.rs",
            "//! Fold.\n#[test]\n#[ignore = \"slow\"]\nfn f() {}\n",
            "`#[ignore]`",
        ),
        (
            "tests/it/fold.rs",
            "//! Fold.\n// todo!()\nfn f() { let a = \"dbg!\"; }\n",
            "",
        ),
        ("src/store/users.rs", &long, "401 lines"),
        ("src/store/tests.rs", &long, "401 lines"),
        ("tests/it/fold.rs", &long, "401 lines"),
        ("src/main.rs", &long_main, "26 lines"),
        ("tests/it/main.rs", &long_main, ""),
        ("tests/it/fold.rs", &short_name, ""),
        ("tests/it/fold.rs", &long_name, "a name of 61 letters"),
    ];
    for (path, text, expected) in cases {
        let faults = house_faults(path, text);
        match *expected {
            "" => assert!(faults.is_empty(), "{path} was flagged: {faults:?}"),
            expected => assert!(
                faults.len() == 1 && faults[0].contains(expected),
                "{path}: wanted {expected}, got {faults:?}"
            ),
        }
    }
}

/// The rules that do not concern floors.
fn house_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push("opens with `//!`: what it owns and what it must never do".to_owned());
    }
    let words = words(&blank(text));
    for three in words.windows(3) {
        match [three[0].as_str(), three[1].as_str(), three[2].as_str()] {
            [name @ ("todo" | "dbg" | "unimplemented"), "!", _] => {
                faults.push(format!("`{name}!` is left over"));
            }
            [name @ ("print" | "println" | "eprint" | "eprintln"), "!", _] if path.starts_with("src/") => {
                faults.push(format!("`{name}!` panics where the reader has closed the pipe"));
            }
            ["#", "[", "ignore"] => faults.push("`#[ignore]`: a test runs or goes".to_owned()),
            _ => {}
        }
    }
    for name in test_names(&words) {
        let letters = name.len();
        if letters > MAX_TEST_NAME {
            faults.push(format!(
                "`{name}`: a name of {letters} letters, at most {MAX_TEST_NAME}"
            ));
        }
    }
    let lines = text.lines().count();
    let most = if path == "src/main.rs" {
        MAX_MAIN_LINES
    } else {
        MAX_LINES
    };
    if lines > most {
        faults.push(format!("{lines} lines, at most {most}: split it by subject"));
    }
    faults
}
