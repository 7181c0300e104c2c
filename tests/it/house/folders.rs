//! A module with children is a folder: `name/mod.rs`, never `name.rs` beside `name/`. Owns this one rule.

use std::path::Path;

use super::text::files;

#[test]
fn modules_with_children_are_folders() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["src", "crates", "benches", "tests"] {
        let paths: Vec<String> = files(&root.join(folder))
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        assert!(!paths.is_empty(), "nothing to check in {folder}");
        let pairs: Vec<&String> = pairs(&paths).collect();
        assert!(
            pairs.is_empty(),
            "in {folder}, move to `mod.rs` in their folders: {pairs:?}"
        );
    }
}

#[test]
fn a_file_beside_its_folder_is_found() {
    let paths = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let pair = paths(&["store/users.rs", "store/users/tests.rs", "store/mod.rs"]);
    assert_eq!(pairs(&pair).collect::<Vec<_>>(), ["store/users.rs"]);
    let folder = paths(&["store/users/mod.rs", "store/users/tests.rs", "store/us.rs"]);
    assert_eq!(pairs(&folder).count(), 0);
}

/// The files `name.rs` beside a folder `name/`.
fn pairs(paths: &[String]) -> impl Iterator<Item = &String> {
    paths.iter().filter(|path| {
        let folder = format!("{}/", path.trim_end_matches(".rs"));
        paths.iter().any(|other| other.starts_with(&folder))
    })
}
