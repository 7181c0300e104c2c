//! The file with the lines.
//!
//! Owns that it can be read twice, to be checked as a whole before a line is used: input that cannot is copied to a file without
//! a name, which ends with the process. Must never read a directory or a device without an end, nor copy more of a line than a
//! record may have.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Seek as _, Write as _, stdin};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::lines::Lines;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// A file, or standard input.
#[derive(Clone, Debug)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file, or a named pipe.
    File(PathBuf),
}

/// The input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be opened.
    #[error("{0}: {1}")]
    Open(String, io::Error),
    /// The input has no end, or is read by blocks.
    #[error("{0}: expected a regular file, a pipe or a terminal: a device may have no end")]
    Device(String),
    /// The input cannot be copied.
    #[error("a copy of the input in {folder} failed: {why}. Set TMPDIR to a folder with room")]
    Copy {
        /// The folder of the copy.
        folder: String,
        /// The error of the copy.
        why: io::Error,
    },
}

impl Source {
    /// The source with this name; `-` is standard input.
    #[must_use]
    pub fn named(path: &Path) -> Self {
        if path.as_os_str() == "-" {
            Self::Stdin
        } else {
            Self::File(path.to_owned())
        }
    }

    /// Opens it to be read once.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn once(&self) -> Result<BufReader<File>, SourceError> {
        Ok(buffered(match self {
            Self::Stdin => standard_input()?,
            Self::File(path) => open(path)?,
        }))
    }

    /// Copies it, so that all reads have the same lines, whatever is written to the file meanwhile.
    ///
    /// # Errors
    /// The file cannot be opened, or its copy cannot be written.
    pub fn copied(&self) -> Result<Kept, SourceError> {
        copied(match self {
            Self::Stdin => standard_input()?,
            Self::File(path) => open(path)?,
        })
    }

    /// Opens it to be read twice; the second reader begins at the start too once the first one is done.
    ///
    /// # Errors
    /// The file cannot be opened, or its copy cannot be written.
    pub fn kept(&self) -> Result<Kept, SourceError> {
        match self {
            Self::Stdin => copied(standard_input()?),
            Self::File(path) => {
                let file = open(path)?;
                if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
                    Ok(Kept(file))
                } else {
                    copied(file)
                }
            }
        }
    }
}

/// A file that is read more than once.
#[derive(Debug)]
pub struct Kept(File);

impl Kept {
    /// A reader from the start on. Readers share one position: the caller ends one before it begins the next.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn reader(&self) -> io::Result<BufReader<File>> {
        let mut file = self.0.try_clone()?;
        file.rewind()?;
        Ok(buffered(file))
    }
}

fn open(path: &Path) -> Result<File, SourceError> {
    let name = path.display().to_string();
    let named = |why| SourceError::Open(path.display().to_string(), why);
    let file = File::open(path).map_err(named)?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(named(io::ErrorKind::IsADirectory.into()));
    }
    no_device(file, &name)
}

fn standard_input() -> Result<File, SourceError> {
    let name = "standard input";
    let owned = stdin().as_fd().try_clone_to_owned();
    let file = owned.map_err(|why| SourceError::Open(name.to_owned(), why))?;
    no_device(file.into(), name)
}

/// Refuses a device that is no terminal.
fn no_device(file: File, name: &str) -> Result<File, SourceError> {
    let kind = file.metadata().map(|metadata| metadata.file_type());
    let is_device = kind.is_ok_and(|kind| kind.is_char_device() || kind.is_block_device());
    if is_device && !file.is_terminal() {
        return Err(SourceError::Device(name.to_owned()));
    }
    Ok(file)
}

fn copied(from: File) -> Result<Kept, SourceError> {
    let folder = std::env::temp_dir();
    let copy = copy(from, &folder);
    copy.map(Kept).map_err(|why| SourceError::Copy {
        folder: folder.display().to_string(),
        why,
    })
}

/// Copies into a file without a name. Lines that are too long for a record are cut, so that a line without an end fills no disk.
fn copy(from: File, folder: &Path) -> io::Result<File> {
    let mut file = BufWriter::with_capacity(BUFFER, tempfile::tempfile_in(folder)?);
    let (mut lines, mut line) = (Lines::new(buffered(from)), Vec::new());
    while lines.raw(&mut line)? {
        file.write_all(&line)?;
        line.clear();
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)
}

fn buffered(file: File) -> BufReader<File> {
    BufReader::with_capacity(BUFFER, file)
}
