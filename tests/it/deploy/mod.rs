//! The files of `deploy/`, and the runbooks, against the programs that use them.

mod cluster;
mod contracts;
mod publishers;
mod reference;
mod settings;
mod watching;

use std::fs;
use std::path::Path;

/// The runbooks: name and text.
fn runbooks() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let files = fs::read_dir(folder).expect("the runbooks");
    let read = files.map(|file| {
        let path = file.expect("an entry of the folder").path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (name, fs::read_to_string(path).expect("a text file"))
    });
    read.collect()
}
