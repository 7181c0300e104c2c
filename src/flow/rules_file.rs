//! Reads a rules file, also the one of this worker.
//!
//! Owns the time limit and the size limit. Must never wait for a file that hangs, nor have more than one thread that
//! does: a read from a pipe or a network file system may never return.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;

/// Longest wait for the file.
const WITHIN: Duration = Duration::from_secs(2);
/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A rules file, and a read of it that has not returned.
#[derive(Debug)]
pub struct RulesFile {
    path: PathBuf,
    reading: Option<JoinHandle<Result<String, String>>>,
}

impl RulesFile {
    /// Creates the reader of the file at this path.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, reading: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The text of the file, or its fault. The next call waits for a late read again.
    pub(super) async fn read(&mut self) -> Result<String, String> {
        let reading = self.reading.get_or_insert_with(|| {
            let path = self.path.clone();
            tokio::task::spawn_blocking(move || text(&path))
        });
        let Ok(read) = tokio::time::timeout(WITHIN, &mut *reading).await else {
            return Err(format!("it was not read within {} s", WITHIN.as_secs()));
        };
        self.reading = None;
        read.unwrap_or_else(|why| Err(why.to_string()))
    }
}

/// Reads a rules file.
///
/// # Errors
/// The fault of the file, without its name; also if it is larger than 1 MiB.
pub fn text(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|why| why.to_string())?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|why| why.to_string())?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_without_an_end_is_refused_by_its_size() {
        // Zeros are valid text.
        let read = RulesFile::new("/dev/zero".into()).read().await;
        assert_eq!(read, Err("it is larger than 1048576 bytes".to_owned()));
    }
}
