//! The draft of a plan file: a file without a name, so that nothing remains of a command that is interrupted or killed.
//!
//! Owns that a plan file appears under its name as a whole, and that only its owner can read it: it has the ids of users.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::target::Target;
use crate::cli::plan_file::PlanFile;
use rolekeeper_domain::preview::UserChanges;
use rolekeeper_domain::preview::file::{Header, Writer};

/// A draft that is being written.
#[derive(Debug)]
pub(super) struct Draft {
    file: BufWriter<File>,
    lines: Writer,
}

/// A whole draft.
#[derive(Debug)]
pub(super) struct Whole(File);

impl Draft {
    /// A draft where a plan file was asked for, or all changes are shown behind the summary.
    pub(super) fn if_needed(output: Option<&Target>, all: bool, header: &Header) -> Result<Option<Self>> {
        if output.is_none() && !all {
            return Ok(None);
        }
        let folder = output.map_or_else(std::env::temp_dir, |target| folder(target.path()));
        let file = tempfile::tempfile_in(&folder)
            .with_context(|| format!("{}: no file can be made here", folder.display()))?;
        let mut draft = Self {
            file: BufWriter::new(file),
            lines: Writer::default(),
        };
        let first = draft.lines.header(header);
        draft.write(&first)?;
        Ok(Some(draft))
    }

    /// Adds a user.
    pub(super) fn add(&mut self, user: &UserChanges) -> Result<()> {
        let line = self.lines.user(user);
        self.write(&line)
    }

    /// Adds the last line.
    pub(super) fn end(mut self) -> Result<Whole> {
        let last = std::mem::take(&mut self.lines).end();
        self.write(&last)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        Ok(Whole(file.context("the plan cannot be written")?))
    }

    fn write(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").context("the plan cannot be written")
    }
}

impl Whole {
    /// Gives it its name, in place of an earlier plan that has it.
    pub(super) fn keep(&self, target: &Target) -> Result<()> {
        target.check()?;
        self.copy(target.path())
            .with_context(|| format!("{}: the plan cannot be written", target.name()))
    }

    fn copy(&self, to: &Path) -> io::Result<()> {
        let mut from = &self.0;
        from.rewind()?;
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let mut beside = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .tempfile_in(folder(to))?;
        io::copy(&mut from, &mut beside)?;
        beside.as_file().sync_all()?;
        beside.persist(to)?;
        Ok(())
    }

    /// Passes each user on, in order.
    pub(super) fn for_each(&self, mut act: impl FnMut(&UserChanges)) -> Result<()> {
        let (_, mut lines) = PlanFile::from_start(&self.0)?;
        while let Some(user) = lines.user()? {
            act(&user);
        }
        Ok(())
    }
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
