//! The lines of an export: NDJSON, compressed with gzip.
//!
//! Owns the decompression and the end of a line. Must never hold more than a line and a part of the file in memory, nor take a
//! file that ends early for a whole one.

use std::collections::VecDeque;
use std::io::Write as _;

use flate2::write::MultiGzDecoder;

/// Longest line that is read: an old profile may have up to 1 MB.
const MAX_LINE: usize = 2 << 20;
/// Compressed bytes that are handled at once. They may become about a thousand times as many.
const AT_ONCE: usize = 4_096;

/// A line without its end; `None` for a line that is too long.
pub(super) type Line = Option<Vec<u8>>;

/// The lines of a file that arrives in parts.
pub(super) struct Lines {
    decoder: MultiGzDecoder<Vec<u8>>,
    ready: VecDeque<Line>,
    /// The begin of the line that is not complete.
    begun: Vec<u8>,
    /// The begin of the line was too long and is dropped.
    dropped: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            decoder: MultiGzDecoder::new(vec![]),
            ready: VecDeque::new(),
            begun: vec![],
            dropped: false,
        }
    }

    /// Takes a part of the file.
    pub(super) fn feed(&mut self, part: &[u8]) -> Result<(), String> {
        for part in part.chunks(AT_ONCE) {
            self.decoder.write_all(part).map_err(damaged)?;
            self.split();
        }
        Ok(())
    }

    /// Takes the end of the file.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.decoder.try_finish().map_err(damaged)?;
        self.split();
        if self.dropped || !self.begun.is_empty() {
            self.complete();
        }
        Ok(())
    }

    /// Returns the next line that is complete.
    pub(super) fn next(&mut self) -> Option<Line> {
        self.ready.pop_front()
    }

    fn split(&mut self) {
        let text = std::mem::take(self.decoder.get_mut());
        let mut rest = text.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.take(&rest[..end]);
            self.complete();
            rest = &rest[end + 1..];
        }
        self.take(rest);
    }

    fn take(&mut self, part: &[u8]) {
        if self.dropped || self.begun.len() + part.len() > MAX_LINE {
            self.dropped = true;
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn complete(&mut self) {
        let line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.dropped) {
            self.ready.push_back(None);
        } else if !line.trim_ascii().is_empty() {
            self.ready.push_back(Some(line));
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> String {
    format!("the file of the export is no complete gzip file: {error}")
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut file = GzEncoder::new(vec![], Compression::fast());
        file.write_all(text).unwrap();
        file.finish().unwrap()
    }

    fn all(lines: &mut Lines) -> Vec<Line> {
        std::iter::from_fn(|| lines.next()).collect()
    }

    #[test]
    fn lines_are_the_same_however_the_file_arrives() {
        let file = packed(b"{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}");
        for size in [1, 7, 1_000] {
            let mut lines = Lines::new();
            for part in file.chunks(size) {
                lines.feed(part).unwrap();
            }
            lines.end().unwrap();
            let text = |line: &Line| String::from_utf8(line.clone().unwrap()).unwrap();
            let read: Vec<String> = all(&mut lines).iter().map(text).collect();
            assert_eq!(read, ["{\"a\":1}", "{\"b\":2}\r", "{\"c\":3}"], "{size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_dropped() {
        let long = vec![b'x'; MAX_LINE + 1];
        let mut lines = Lines::new();
        lines
            .feed(&packed(&[b"a\n", &long[..], b"\nb\n", &long[..]].concat()))
            .unwrap();
        lines.end().unwrap();
        let read = all(&mut lines);
        assert_eq!(read, [Some(b"a".to_vec()), None, Some(b"b".to_vec()), None]);
    }

    #[test]
    fn a_file_that_ends_early_or_is_no_gzip_is_damaged() {
        let file = packed("{\"a\":1}\n".repeat(1_000).as_bytes());
        let mut lines = Lines::new();
        lines.feed(&file[..file.len() - 4]).unwrap();
        assert!(lines.end().is_err());
        let mut lines = Lines::new();
        let fed = lines.feed(b"<html>no export</html>");
        assert!(fed.and_then(|()| lines.end()).is_err());
    }
}
