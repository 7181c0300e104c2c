//! The place of a plan file.
//!
//! Owns that a plan replaces nothing but an earlier plan, or an empty file. Must never write.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::cli::plan_file::MAX_LINE;
use rolekeeper_domain::explanation::plain;
use rolekeeper_domain::preview::file::Reader;

/// A place that was free, or had a plan.
#[derive(Debug)]
pub(super) struct Target {
    /// The path as it was given.
    given: PathBuf,
    /// The path without a symbolic link at its end.
    path: PathBuf,
}

impl Target {
    /// Refuses a path whose file is of another kind.
    pub(super) fn checked(given: &Path) -> Result<Self> {
        let is_link = fs::symlink_metadata(given).is_ok_and(|found| found.is_symlink());
        let path = if is_link {
            fs::canonicalize(given).with_context(|| shown(given))?
        } else {
            given.to_owned()
        };
        let target = Self {
            given: given.to_owned(),
            path,
        };
        target.check()?;
        Ok(target)
    }

    /// Refuses a file that has come meanwhile.
    pub(super) fn check(&self) -> Result<()> {
        let Ok(found) = fs::metadata(&self.path) else {
            // Nothing is there, or the folder cannot be read, and then no file can be made in it.
            return Ok(());
        };
        let name = shown(&self.given);
        if found.is_dir() {
            bail!("{name}: expected the path of a file, this is a folder");
        }
        if !found.is_file() {
            bail!(
                "{name}: no plan was made: this is no regular file, and a plan would replace it; name another path"
            );
        }
        if found.len() > 0 && !has_plan(&self.path).with_context(|| name.clone())? {
            bail!(
                "{name}: no plan was made: this file is not a plan of this release, and a plan would replace it; name another path"
            );
        }
        Ok(())
    }

    /// The path to write to.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path as it was given, for messages.
    pub(super) fn name(&self) -> String {
        shown(&self.given)
    }
}

fn has_plan(path: &Path) -> Result<bool> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?.take(MAX_LINE)).read_until(b'\n', &mut line)?;
    let line = String::from_utf8(line);
    Ok(line.is_ok_and(|line| Reader::default().header(line.trim_end()).is_ok()))
}

fn shown(path: &Path) -> String {
    plain(&path.display().to_string())
}
