//! The lines of a file.
//!
//! Owns their numbers, from 1, and the most that is read of one. Must never hold more than one line.

use std::io::{self, BufRead as _, BufReader, Read};

use rolekeeper_domain::byte_order_mark::MARK;
use rolekeeper_domain::event::MAX_EVENT_BYTES;

/// Most bytes of a line that are kept: one more than an event may have, and the end of the line.
const KEPT_BYTES: u64 = MAX_EVENT_BYTES as u64 + 3;

/// Reads lines.
#[derive(Debug)]
pub struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
}

impl<R: Read> Lines<R> {
    /// Reads from the first line on.
    #[must_use]
    pub fn new(reader: BufReader<R>) -> Self {
        Self { reader, number: 0 }
    }

    /// The next line that is not blank, with its number and without its end; none at the end of the file. A line that is too long
    /// for an event is cut. A byte order mark at the start of the file is no part of the first line.
    ///
    /// # Errors
    /// The file cannot be read.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot fail and go on")]
    pub fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let mut line = Vec::new();
        while self.raw(&mut line)? {
            if self.number == 1 && line.starts_with(MARK.as_bytes()) {
                line.drain(..MARK.len());
            }
            if line.pop_if(|last| *last == b'\n').is_some() {
                line.pop_if(|last| *last == b'\r');
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, line)));
            }
            line.clear();
        }
        Ok(None)
    }

    /// Whether the next line is in memory as a whole: to read it waits for no sender.
    #[must_use]
    pub fn is_next_here(&self) -> bool {
        memchr::memchr(b'\n', self.reader.buffer()).is_some()
    }

    /// Appends the next line with its end to `line`; only the end of the file may be missing. Returns false behind the last line. A
    /// line that is too long for an event is cut.
    pub(super) fn raw(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        let read = (&mut self.reader).take(KEPT_BYTES).read_until(b'\n', line)?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if line.last() != Some(&b'\n') && self.skip_rest()? {
            line.push(b'\n');
        }
        Ok(true)
    }

    /// Reads to the end of the line; returns whether it has one.
    fn skip_rest(&mut self) -> io::Result<bool> {
        loop {
            let read = self.reader.fill_buf()?;
            let end = memchr::memchr(b'\n', read);
            let bytes = end.map_or(read.len(), |at| at + 1);
            self.reader.consume(bytes);
            if end.is_some() || bytes == 0 {
                return Ok(end.is_some());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(u64, usize)> {
        // A small buffer, so that lines cross its end.
        let mut lines = Lines::new(BufReader::with_capacity(7, text.as_bytes()));
        std::iter::from_fn(|| lines.next().expect("bytes in memory"))
            .map(|(number, line)| (number, line.len()))
            .collect()
    }

    #[test]
    fn blank_lines_count_and_long_ones_are_cut() {
        assert_eq!(all(""), []);
        assert_eq!(all("{}\n\n \r\n{ }\r\nlast"), [(1, 2), (4, 3), (5, 4)]);
        assert_eq!(all("\u{feff}{}\n\u{feff}{}"), [(1, 2), (2, 5)]);
        assert_eq!(all("\u{feff}\r\n{}"), [(2, 2)]);
        let cut = usize::try_from(KEPT_BYTES).unwrap();
        for length in [cut - 1, cut, cut + 1, 3 * cut] {
            let long = format!("{}\nb\n", "x".repeat(length));
            assert_eq!(all(&long), [(1, length.min(cut)), (2, 1)], "{length}");
        }
    }
}
