//! The lines of a plan file, read in order.
//!
//! Owns that a file of any size and content is read in bounded memory. Must never pass on a user of a file that is not whole:
//! read it to its end first.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _, Seek as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use super::interrupt::Interrupt;
use crate::flow::apply_plan::SLICE;
use rolekeeper_domain::explanation::plain;
use rolekeeper_domain::preview::UserChanges;
use rolekeeper_domain::preview::file::{Header, Reader};

/// Longest line. One of a user with all rules has some 10 KiB, one of proposed rules less than 100 KiB.
pub(super) const MAX_LINE: u64 = 1 << 20;

/// A plan file that stays open: all reads have the same content, also if its name is given to another file meanwhile.
pub(super) struct OpenPlan<'p> {
    path: &'p Path,
    file: File,
}

/// The lines of a plan file behind the first one.
#[derive(Debug)]
pub(super) struct PlanFile<R> {
    from: R,
    reader: Reader,
    number: u64,
}

impl<'f> PlanFile<BufReader<&'f File>> {
    /// Reads an open file from its start.
    pub(super) fn from_start(mut file: &'f File) -> Result<(Header, Self)> {
        file.rewind()?;
        let mut lines = Self {
            from: BufReader::new(file),
            reader: Reader::default(),
            number: 0,
        };
        let line = lines.line()?.unwrap_or_default();
        let header = lines.reader.header(&line).map_err(anyhow::Error::msg)?;
        Ok((header, lines))
    }
}

impl<R: BufRead> PlanFile<R> {
    /// The next user; `None` at the end of a whole file.
    pub(super) fn user(&mut self) -> Result<Option<UserChanges>> {
        while let Some(line) = self.line()? {
            if let Some(user) = self.reader.user(&line).map_err(anyhow::Error::msg)? {
                return Ok(Some(user));
            }
        }
        self.reader.end().map_err(anyhow::Error::msg)?;
        Ok(None)
    }

    /// The next users, at most `most`; none at the end of a whole file.
    pub(super) fn users(&mut self, most: usize) -> Result<Vec<UserChanges>> {
        let mut users = Vec::new();
        while users.len() < most {
            match self.user()? {
                Some(user) => users.push(user),
                None => break,
            }
        }
        Ok(users)
    }

    fn line(&mut self) -> Result<Option<String>> {
        self.number += 1;
        let (mut line, number) = (Vec::new(), self.number);
        let mut bounded = self.from.by_ref().take(MAX_LINE);
        let read = bounded.read_until(b'\n', &mut line);
        if read.with_context(|| format!("line {number}"))? == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == MAX_LINE {
            bail!("line {number}: longer than 1 MiB, which no line of a plan is");
        }
        let text = String::from_utf8(line);
        text.map(Some)
            .map_err(|_| anyhow!("line {number}: not UTF-8 text: the file was changed; make the plan again"))
    }
}

impl<'p> OpenPlan<'p> {
    /// Opens it. Another kind of file is refused first: to open a pipe may take for ever.
    pub(super) fn open(path: &'p Path) -> Result<Self> {
        let name = || plain(&path.display().to_string());
        if !fs::metadata(path).with_context(name)?.is_file() {
            bail!(
                "{}: expected a regular file, as `rolekeeper plan -o` writes it",
                name()
            );
        }
        let file = File::open(path).with_context(name)?;
        Ok(Self { path, file })
    }

    /// Its path, for messages.
    pub(super) fn name(&self) -> String {
        plain(&self.path.display().to_string())
    }

    /// Reads the whole file; returns its header and the number of users.
    pub(super) fn whole(&self) -> Result<(Header, u64)> {
        let read = || -> Result<(Header, u64)> {
            let (header, mut lines) = PlanFile::from_start(&self.file)?;
            let mut users = 0;
            while lines.user()?.is_some() {
                users += 1;
            }
            Ok((header, users))
        };
        read().with_context(|| self.name())
    }

    /// Passes the users on, slice by slice, until a signal arrives. One that arrives in the last slice interrupts nothing.
    pub(super) async fn slices(
        &self,
        interrupt: &mut Interrupt,
        mut act: impl AsyncFnMut(&[UserChanges]) -> Result<()>,
    ) -> Result<()> {
        let (_, mut lines) = PlanFile::from_start(&self.file)?;
        let mut slice = lines.users(SLICE)?;
        while !slice.is_empty() {
            act(&slice).await?;
            slice = lines.users(SLICE)?;
            if !slice.is_empty() && interrupt.is_requested() {
                bail!("interrupted");
            }
        }
        Ok(())
    }
}
