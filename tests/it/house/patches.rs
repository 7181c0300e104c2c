//! The patches of the sabotages and mutants apply to the source as it is, and name a test that exists.
//!
//! Reads a patch as text: the lines of a part before the change stand in its file, one behind the other.

use std::fs;
use std::path::Path;

use super::reliability::{known, stands_for};

/// The folders of patches, and the line of a patch that names its test.
const FOLDERS: [(&str, &str); 2] = [("sabotage", "Turns red: "), ("mutants", "Test: ")];

#[test]
fn each_patch_applies_and_names_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (known, mut faults, mut read) = (known(), Vec::new(), 0);
    for (folder, label) in FOLDERS {
        let patches = fs::read_dir(root.join("tests").join(folder)).expect("a folder");
        for patch in patches {
            let path = patch.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("a text");
            let source = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
            let found = known.iter().any(|test| names(&text, label, test));
            let applies = !before(&text).is_empty()
                && before(&text)
                    .iter()
                    .all(|(file, part)| source(file).contains(part));
            read += 1;
            if !(found && applies) {
                faults.push(format!(
                    "{}: applies: {applies}, its test exists: {found}",
                    path.display()
                ));
            }
        }
    }
    assert!(read > 10, "patches read: {read}");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_lines_before_a_change_are_read() {
    let patch = "Test: a::b\n\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n@@ -9 +9 @@\n-nine\n";
    let parts = [
        ("src/a.rs".to_owned(), "one\ntwo\n"),
        ("src/a.rs".to_owned(), "nine\n"),
    ];
    assert_eq!(before(patch), parts.map(|(file, part)| (file, part.to_owned())));
    assert!(names(patch, "Test: ", "models::a::b") && !names(patch, "Test: ", "models::a::c"));
}

/// The file of each part of a patch, with the lines that the part expects there.
fn before(patch: &str) -> Vec<(String, String)> {
    let (mut file, mut parts) = (String::new(), Vec::new());
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- a/") {
            path.clone_into(&mut file);
        } else if line.starts_with("@@") {
            parts.push((file.clone(), String::new()));
        } else if let (Some(text), Some((_, part))) = (kept(line), parts.last_mut()) {
            part.push_str(text);
            part.push('\n');
        }
    }
    parts
}

/// A line that stands in the file before the change.
fn kept(line: &str) -> Option<&str> {
    line.strip_prefix([' ', '-']).or(line.is_empty().then_some(""))
}

/// Whether the patch names this test, or a module with it.
fn names(patch: &str, label: &str, test: &str) -> bool {
    let mut named = patch.lines().filter_map(|line| line.strip_prefix(label));
    named.any(|name| stands_for(name, test))
}
