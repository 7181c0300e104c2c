//! The lines of a file.
//!
//! Owns their numbers, from 1, and the most that is read of one. Must never hold more than one line.

use std::io::{self, BufRead, Read as _};

use rolekeeper_domain::event::MAX_EVENT_BYTES;

/// Most bytes of a line that are kept: one more than an event may have, and the end of the line.
const KEPT_BYTES: u64 = MAX_EVENT_BYTES as u64 + 3;

/// Reads lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads from the first line on.
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }

    /// The next line that is not blank, with its number and without its end; none at the end of the file. A line that is too long
    /// for an event is cut.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        loop {
            let mut line = Vec::new();
            if (&mut self.reader).take(KEPT_BYTES).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.last() == Some(&b'\n') {
                line.pop();
                line.pop_if(|last| *last == b'\r');
            } else {
                self.skip_rest()?;
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, line)));
            }
        }
    }

    /// Reads to the end of the line.
    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let read = self.reader.fill_buf()?;
            let end = memchr::memchr(b'\n', read);
            let (bytes, ended) = end.map_or((read.len(), read.is_empty()), |at| (at + 1, true));
            self.reader.consume(bytes);
            if ended {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(u64, usize)> {
        // A small buffer, so that lines cross its end.
        let mut lines = Lines::new(io::BufReader::with_capacity(7, text.as_bytes()));
        std::iter::from_fn(|| lines.next().expect("bytes in memory"))
            .map(|(number, line)| (number, line.len()))
            .collect()
    }

    #[test]
    fn blank_lines_count_and_long_ones_are_cut() {
        assert_eq!(all(""), []);
        assert_eq!(all("{}\n\n \r\n{ }\r\nlast"), [(1, 2), (4, 3), (5, 4)]);
        let cut = usize::try_from(KEPT_BYTES).unwrap();
        for length in [cut - 1, cut, cut + 1, 3 * cut] {
            let long = format!("{}\nb\n", "x".repeat(length));
            assert_eq!(all(&long), [(1, length.min(cut)), (2, 1)], "{length}");
        }
    }
}
