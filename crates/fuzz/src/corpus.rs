//! The files of a parser's corpus.
//!
//! Owns the place: `tests/corpus/PARSER/`, one input a file. Must never write there: an input that fails is printed.

use std::fs;
use std::path::Path;

/// One file of a corpus.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Reads the corpus of a parser, in the order of the names.
pub(crate) fn of(parser: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("tests/corpus").join(parser);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut files: Vec<File> = entries
        .map(|entry| {
            let path = entry.expect("an entry of the folder").path();
            File {
                name: path.display().to_string(),
                bytes: fs::read(&path).expect("a file of the corpus"),
            }
        })
        .collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}
