//! The file with the lines.
//!
//! Owns that it can be read twice, to be checked as a whole before a line is sent: input that cannot is copied to a file without
//! a name, which ends with the process. Must never read a directory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, stdin};
use std::path::{Path, PathBuf};

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
    /// Input that can be read only once cannot be copied.
    #[error(
        "the input can be read only once, and a copy of it in {folder} failed: {why}. Give the name of a file, set TMPDIR to a \
         folder with room, or add --skip-bad, which sends lines before all are checked"
    )]
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
    pub fn once(&self) -> Result<Box<dyn BufRead + Send>, SourceError> {
        Ok(match self {
            Self::Stdin => Box::new(BufReader::with_capacity(BUFFER, stdin())),
            Self::File(path) => Box::new(buffered(open(path)?)),
        })
    }

    /// Opens it to be read twice; the second reader begins at the start too once the first one is done.
    ///
    /// # Errors
    /// The file cannot be opened, or its copy cannot be written.
    pub fn kept(&self) -> Result<Kept, SourceError> {
        match self {
            Self::Stdin => copied(stdin()),
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
    let named = |why| SourceError::Open(path.display().to_string(), why);
    let file = File::open(path).map_err(named)?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(named(io::ErrorKind::IsADirectory.into()));
    }
    Ok(file)
}

fn copied(from: impl Read) -> Result<Kept, SourceError> {
    let folder = std::env::temp_dir();
    let copy = copy(from, &folder);
    copy.map(Kept).map_err(|why| SourceError::Copy {
        folder: folder.display().to_string(),
        why,
    })
}

/// Copies into a file without a name.
fn copy(mut from: impl Read, folder: &Path) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(folder)?;
    io::copy(&mut from, &mut file)?;
    Ok(file)
}

fn buffered(file: File) -> BufReader<File> {
    BufReader::with_capacity(BUFFER, file)
}
