//! A file that is there as a whole, or not at all.
//!
//! Owns the file beside it that is written first. Must never replace a file: it may be the evidence of another period.

use std::io::{BufWriter, IntoInnerError, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::NamedTempFile;

/// A file that is written, under a name of its own.
#[derive(Debug)]
pub(super) struct Part {
    file: BufWriter<NamedTempFile>,
    whole: PathBuf,
}

impl Part {
    /// Begins the file; only the user of this process may read it.
    pub(super) fn create(whole: &Path) -> Result<Self> {
        let shown = whole.display();
        if whole.exists() {
            bail!("--output {shown}: the file exists already; name a new one");
        }
        let name = whole.file_name().unwrap_or_default().to_string_lossy();
        // Another process may write a file of the same name.
        let file = tempfile::Builder::new()
            .prefix(&format!("{name}."))
            .suffix(".part")
            .tempfile_in(whole.parent().unwrap_or(whole));
        let file = file.with_context(|| format!("--output {shown}"))?;
        Ok(Self {
            file: BufWriter::new(file),
            whole: whole.to_owned(),
        })
    }

    /// Writes a line.
    pub(super) fn line(&mut self, line: &str) -> Result<()> {
        let written = writeln!(self.file, "{line}");
        written.with_context(|| format!("--output {}", self.whole.display()))
    }

    /// Gives the file its name, unless another file has it by now; it is on disk then.
    pub(super) fn finish(self) -> Result<()> {
        let Self { file, whole } = self;
        let file = file.into_inner().map_err(IntoInnerError::into_error);
        let done = file.and_then(|file| {
            file.as_file().sync_all()?;
            Ok(file.persist_noclobber(&whole)?)
        });
        done.map(drop)
            .with_context(|| format!("--output {}", whole.display()))
    }
}
