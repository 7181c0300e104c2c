//! The check of all lines, before one is counted.
//!
//! Owns the hash of the file: the same content is the same import, whatever its name.

use std::io::{self, BufReader, Read};

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::flow::line_file::{Bad, Kept, Lines};
use rolekeeper_domain::hash::Hash;
use rolekeeper_domain::import::Format;

/// The result of a check.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// SHA-256 of the file, in hex.
    pub source: String,
    /// The form of the file; none if it has no line, or a first line of another form.
    pub format: Option<Format>,
    /// Lines with plays.
    pub good: u64,
    /// Lines that cannot be used.
    pub bad: u64,
    /// Number of the last line.
    pub last: u64,
}

/// Reads a file, and its hash beside it.
struct Hashed<'d, R> {
    file: R,
    digest: &'d mut Sha256,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

/// Checks all lines; each bad one is passed to `report`, and the number of good ones so far. Ends early when `stop` is cancelled, or at
/// a first line of another form.
///
/// # Errors
/// The file cannot be read.
pub fn check(
    file: &Kept,
    stop: &CancellationToken,
    mut report: impl FnMut(u64, Option<Bad>),
) -> io::Result<Checked> {
    let (mut digest, mut checked) = (Sha256::new(), Checked::default());
    let hashed = Hashed {
        file: file.reader()?.into_inner(),
        digest: &mut digest,
    };
    let mut lines = Lines::new(BufReader::with_capacity(1 << 18, hashed));
    while let Some((line, bytes)) = lines.next()? {
        if stop.is_cancelled() {
            break;
        }
        checked.last = line;
        let read = match &checked.format {
            Some(format) => format.read(&bytes).map(|_| true),
            None => Format::of(&bytes).and_then(|format| {
                let begins = format.begins_at_once();
                let read = begins.then(|| format.read(&bytes)).transpose();
                checked.format = Some(format);
                read.map(|_| begins)
            }),
        };
        match read {
            Ok(holds_plays) => {
                checked.good += u64::from(holds_plays);
                report(checked.good, None);
            }
            Err(reject) => {
                checked.bad += 1;
                report(checked.good, Some(Bad { line, reject }));
            }
        }
        if checked.format.is_none() {
            break;
        }
    }
    drop(lines);
    checked.source = Hash::of(digest.finalize().into()).to_string();
    Ok(checked)
}
