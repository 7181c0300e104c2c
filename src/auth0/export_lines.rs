//! The lines of an export: NDJSON, compressed with gzip.
//!
//! Owns the decompression and the end of a line. Must never hold more than a line and a part of the file in memory, nor take a
//! file that ends early for a whole one.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

/// Longest line that is read: an old profile may have up to 1 MB.
const MAX_LINE: usize = 2 << 20;
/// Compressed bytes that are decompressed at once. They may become about a thousand times as many.
const AT_ONCE: usize = 1_024;

/// A line without its end; `None` for a line that is too long.
pub(super) type Line = Option<Vec<u8>>;

/// The lines of a file that arrives in parts.
pub(super) struct Lines {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// The compressed part that is not decompressed yet, from this byte on.
    part: (Bytes, usize),
    /// The decompressed text that is not split yet, from this byte on.
    text: (Vec<u8>, usize),
    /// The begin of the line that is not complete.
    begun: Vec<u8>,
    /// The begin of the line was too long and is dropped.
    dropped: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            decoder: MultiGzDecoder::new(vec![]),
            part: (Bytes::new(), 0),
            text: (vec![], 0),
            begun: vec![],
            dropped: false,
        }
    }

    /// Takes a part of the file, once there is no further line of the part before.
    pub(super) fn feed(&mut self, part: Bytes) {
        self.part = (part, 0);
    }

    /// Returns the next line that is complete; none if the next part is needed.
    pub(super) fn next(&mut self) -> Result<Option<Line>, String> {
        loop {
            if let Some(line) = self.split() {
                return Ok(Some(line));
            }
            let (part, from) = &mut self.part;
            let rest = &part[*from..];
            if rest.is_empty() {
                return Ok(None);
            }
            let now = &rest[..rest.len().min(AT_ONCE)];
            self.decoder.write_all(now).map_err(damaged)?;
            *from += now.len();
            self.text = (std::mem::take(self.decoder.get_mut()), 0);
        }
    }

    /// Takes the end of the file, once there is no further line. Returns the next of the last lines.
    pub(super) fn end(&mut self) -> Result<Option<Line>, String> {
        if self.text.0.len() == self.text.1 {
            self.decoder.try_finish().map_err(damaged)?;
            self.text = (std::mem::take(self.decoder.get_mut()), 0);
        }
        Ok(self.split().or_else(|| self.complete()))
    }

    /// Takes the next complete line of the text, or all of its incomplete rest.
    fn split(&mut self) -> Option<Line> {
        let (text, mut from) = std::mem::take(&mut self.text);
        while let Some(length) = text[from..].iter().position(|byte| *byte == b'\n') {
            self.take(&text[from..from + length]);
            from += length + 1;
            if let Some(line) = self.complete() {
                self.text = (text, from);
                return Some(line);
            }
        }
        self.take(&text[from..]);
        None
    }

    fn take(&mut self, part: &[u8]) {
        if self.dropped || self.begun.len() + part.len() > MAX_LINE {
            self.dropped = true;
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    /// Ends a line; none for an empty one.
    fn complete(&mut self) -> Option<Line> {
        let line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.dropped) {
            Some(None)
        } else {
            (!line.trim_ascii().is_empty()).then_some(Some(line))
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

    /// The lines of a file that arrives in parts of this size.
    fn read(file: &[u8], size: usize) -> Result<Vec<Line>, String> {
        let (mut lines, mut read) = (Lines::new(), vec![]);
        for part in file.chunks(size) {
            lines.feed(Bytes::copy_from_slice(part));
            while let Some(line) = lines.next()? {
                read.push(line);
            }
        }
        while let Some(line) = lines.end()? {
            read.push(line);
        }
        Ok(read)
    }

    #[test]
    fn lines_are_the_same_however_the_file_arrives() {
        let file = packed(b"{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}");
        for size in [1, 7, 1_000] {
            let text = |line: Line| String::from_utf8(line.unwrap()).unwrap();
            let read: Vec<String> = read(&file, size).unwrap().into_iter().map(text).collect();
            assert_eq!(read, ["{\"a\":1}", "{\"b\":2}\r", "{\"c\":3}"], "{size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_dropped() {
        let long = vec![b'x'; MAX_LINE + 1];
        let file = packed(&[b"a\n", &long[..], b"\nb\n", &long[..]].concat());
        let read = read(&file, file.len()).unwrap();
        assert_eq!(read, [Some(b"a".to_vec()), None, Some(b"b".to_vec()), None]);
    }

    #[test]
    fn a_small_file_of_many_lines_is_decompressed_line_by_line() {
        let file = packed("{}\n".repeat(2_000_000).as_bytes());
        let (mut lines, mut count, mut largest) = (Lines::new(), 0, 0);
        lines.feed(file.into());
        while lines.next().unwrap().is_some() {
            count += 1;
            largest = largest.max(lines.text.0.len());
        }
        while lines.end().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 2_000_000);
        assert!(largest <= 2 << 20, "{largest} bytes of text at once");
    }

    #[test]
    fn a_file_that_ends_early_or_is_no_gzip_is_damaged() {
        let file = packed("{\"a\":1}\n".repeat(1_000).as_bytes());
        assert!(read(&file[..file.len() - 4], 1_000).is_err());
        assert!(read(b"<html>no export</html>", 1_000).is_err());
    }

    /// Number of lines and their bytes, without keeping them.
    fn counted(file: &[u8], size: usize) -> Result<(usize, usize), String> {
        let (mut lines, mut count) = (Lines::new(), (0, 0));
        let mut add = |line: Line| count = (count.0 + 1, count.1 + line.map_or(0, |line| line.len()));
        for part in file.chunks(size) {
            lines.feed(Bytes::copy_from_slice(part));
            while let Some(line) = lines.next()? {
                add(line);
            }
        }
        while let Some(line) = lines.end()? {
            add(line);
        }
        Ok(count)
    }

    #[test]
    fn fuzz_export_files() {
        let memory = rolekeeper_fuzz::Memory {
            bytes: 4 * MAX_LINE as u64,
            each: 16,
        };
        rolekeeper_fuzz::fuzz_within("exports", memory, |file| {
            let whole = counted(file, file.len().max(1));
            assert_eq!(
                counted(file, 7).ok(),
                whole.as_ref().ok().copied(),
                "however it arrives"
            );
            if let Err(why) = whole {
                assert!(
                    why.starts_with("the file of the export is no complete gzip file"),
                    "{why}"
                );
            }
        });
    }
}
