//! A file that is there as a whole, or not at all.
//!
//! Owns the file beside it that is written first. Must never replace a file: it may be the evidence of another period.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use uuid::Uuid;

/// A file that is written, under a name of its own.
#[derive(Debug)]
pub(super) struct Part {
    file: BufWriter<File>,
    written: PathBuf,
    whole: PathBuf,
}

impl Part {
    /// Begins the file; only the user of this process may read it.
    pub(super) fn create(whole: &Path) -> Result<Self> {
        let shown = whole.display();
        if whole.exists() {
            bail!("--output {shown}: the file exists already; name a new one");
        }
        // Another process may write a file of the same name.
        let mut written = whole.as_os_str().to_owned();
        written.push(format!(".{}.part", Uuid::now_v7()));
        let written = PathBuf::from(written);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&written);
        let file = file.with_context(|| format!("--output {shown}: {}", written.display()))?;
        Ok(Self {
            file: BufWriter::new(file),
            written,
            whole: whole.to_owned(),
        })
    }

    /// Writes a line.
    pub(super) fn line(&mut self, line: &str) -> Result<()> {
        let written = writeln!(self.file, "{line}");
        written.with_context(|| format!("--output {}", self.whole.display()))
    }

    /// Gives the file its name, unless another file has it by now; it is on disk then.
    pub(super) fn finish(mut self) -> Result<()> {
        let done = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| fs::hard_link(&self.written, &self.whole));
        done.with_context(|| format!("--output {}", self.whole.display()))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.written);
    }
}
