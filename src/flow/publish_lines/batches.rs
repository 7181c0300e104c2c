//! Lines that are sent together.
//!
//! Owns which lines may be in flight at once: plays of a playlist in any order, a saving or a deletion alone among the events of
//! its playlist, since its place decides which plays count. So a batch may be sent again as a whole.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};

use tokio_util::sync::CancellationToken;

use crate::bus::Outgoing;
use crate::flow::line_file::{Bad, Lines};
use rolekeeper_domain::event::{self, EventKind, Unsent};
use rolekeeper_domain::ids::Token;

/// Most lines of a batch.
const MOST_LINES: usize = 1_000;
/// Bytes after which a batch ends.
const MOST_BYTES: usize = 1 << 20;

/// The result of a check.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked {
    /// Lines with a valid event.
    pub good: u64,
    /// Lines without one.
    pub bad: u64,
    /// Number of the last line.
    pub last: u64,
}

/// Lines that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The events.
    pub(super) messages: Vec<Outgoing>,
    /// Lines between them without a valid event.
    pub(super) bad: Vec<Bad>,
    /// Number of the last line.
    pub(super) last: u64,
}

/// Checks all lines from number `from` on; each bad one is passed to `report`, and the number of good ones so far. Ends early when `stop` is cancelled.
///
/// # Errors
/// The file cannot be read.
pub fn check(
    file: BufReader<impl Read>,
    from: u64,
    stop: &CancellationToken,
    mut report: impl FnMut(u64, Option<Bad>),
) -> io::Result<Checked> {
    let (mut lines, mut checked) = (Lines::new(file), Checked::default());
    while let Some((line, bytes)) = lines.next()? {
        if stop.is_cancelled() {
            break;
        }
        if line < from {
            continue;
        }
        let bad = event::parse_unsent(&bytes)
            .err()
            .map(|reject| Bad { line, reject });
        match &bad {
            None => checked.good += 1,
            Some(_) => checked.bad += 1,
        }
        checked.last = line;
        report(checked.good, bad);
    }
    Ok(checked)
}

/// Reads batches.
pub(super) struct Batches<R> {
    lines: Lines<R>,
    from: u64,
    to: u64,
    /// A batch ends where the next line has not arrived yet.
    as_they_arrive: bool,
    /// The first line of the next batch.
    next: Option<Next>,
}

/// A valid line.
struct Next {
    line: u64,
    message: Outgoing,
    playlist: Token<'static>,
    begins_or_ends: bool,
}

impl<R: Read> Batches<R> {
    /// Reads from line number `from` to line number `to`; without it, to the end of the file, and lines wait for none that has not
    /// arrived.
    pub(super) fn new(file: BufReader<R>, from: u64, to: Option<u64>) -> Self {
        Self {
            lines: Lines::new(file),
            from,
            to: to.unwrap_or(u64::MAX),
            as_they_arrive: to.is_none(),
            next: None,
        }
    }

    /// The next batch; none at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Batch>> {
        let (mut batch, mut bytes) = (Batch::default(), 0);
        let mut playlists: HashMap<Token<'static>, bool> = HashMap::new();
        while batch.messages.len() + batch.bad.len() < MOST_LINES && bytes < MOST_BYTES {
            let next = match self.next.take() {
                Some(next) => next,
                None if batch.last > 0 && self.as_they_arrive && !self.lines.is_next_here() => break,
                None => match self.line()? {
                    None => break,
                    Some(Ok(next)) => next,
                    Some(Err(bad)) => {
                        batch.last = bad.line;
                        batch.bad.push(bad);
                        continue;
                    }
                },
            };
            let alone = playlists.get(&next.playlist);
            if alone.is_some_and(|alone| *alone || next.begins_or_ends) {
                self.next = Some(next);
                break;
            }
            batch.last = next.line;
            bytes += next.message.payload.len();
            playlists.insert(next.playlist, next.begins_or_ends);
            batch.messages.push(next.message);
        }
        Ok(Some(batch).filter(|batch| batch.last > 0))
    }

    fn line(&mut self) -> io::Result<Option<Result<Next, Bad>>> {
        while let Some((line, bytes)) = self.lines.next()? {
            if line < self.from {
                continue;
            }
            if line > self.to {
                return Ok(None);
            }
            let parsed = event::parse_unsent(&bytes).map(|unsent| {
                let Unsent {
                    subject,
                    content_type,
                    event,
                } = unsent;
                let begins_or_ends =
                    matches!(event.kind, EventKind::Saved { .. } | EventKind::Deleted { .. });
                let id = event.id.as_str().to_owned();
                let playlist = event.playlist.into_owned();
                ((subject, id, content_type), playlist, begins_or_ends)
            });
            return Ok(Some(match parsed {
                Err(reject) => Err(Bad { line, reject }),
                Ok(((subject, id, content_type), playlist, begins_or_ends)) => Ok(Next {
                    line,
                    message: Outgoing {
                        subject,
                        id,
                        content_type,
                        payload: bytes.into(),
                    },
                    playlist,
                    begins_or_ends,
                }),
            }));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(id: &str, playlist: &str) -> String {
        format!(
            r#"{{"type":"play","event_id":"{id}","playlist_id":"{playlist}","listener_id":"auth0|l","song_id":"s","played_at":"2026-11-23T10:00:00Z"}}"#
        )
    }

    fn saved(id: &str, playlist: &str) -> String {
        format!(
            r#"{{"type":"playlist_saved","event_id":"{id}","playlist_id":"{playlist}","owner_id":"auth0|a","name":"n"}}"#
        )
    }

    fn batches(lines: &[String], from: u64) -> Vec<(usize, usize, u64)> {
        batches_to(lines, from, 1_000_000)
    }

    fn batches_to(lines: &[String], from: u64, to: u64) -> Vec<(usize, usize, u64)> {
        let text = lines.join("\n");
        let mut batches = Batches::new(BufReader::new(text.as_bytes()), from, Some(to));
        std::iter::from_fn(|| batches.next().expect("bytes in memory"))
            .map(|batch| (batch.messages.len(), batch.bad.len(), batch.last))
            .collect()
    }

    #[test]
    fn a_saving_is_never_in_flight_with_events_of_its_playlist() {
        let lines = [
            saved("a", "one"),
            saved("b", "two"),
            play("c", "one"),
            play("d", "one"),
            play("e", "two"),
            saved("f", "one"),
        ];
        assert_eq!(batches(&lines, 1), [(2, 0, 2), (3, 0, 5), (1, 0, 6)]);
        assert_eq!(batches(&lines, 6), [(1, 0, 6)]);
        assert_eq!(batches(&lines, 7), []);
        assert_eq!(batches_to(&lines, 1, 4), [(2, 0, 2), (2, 0, 4)]);
    }

    #[test]
    fn lines_wait_for_none_that_has_not_arrived() {
        let lines: Vec<String> = (0..5).map(|n| play(&format!("p{n}"), "one")).collect();
        let text = lines.join("\n");
        // Two lines and a half arrive at once.
        let arrives = BufReader::with_capacity(lines[0].len() * 5 / 2, text.as_bytes());
        let mut batches = Batches::new(arrives, 1, None);
        let sizes = std::iter::from_fn(|| batches.next().expect("bytes in memory"));
        let sizes: Vec<usize> = sizes.map(|batch| batch.messages.len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }

    #[test]
    fn bad_lines_have_their_numbers() {
        let lines = ["{".to_owned(), play("a", "one"), "[]".to_owned()];
        assert_eq!(batches(&lines, 1), [(1, 2, 3)]);
        let stop = CancellationToken::new();
        let mut bad = Vec::new();
        let text = lines.join("\n");
        let checked = check(BufReader::new(text.as_bytes()), 1, &stop, |_, found| {
            bad.extend(found);
        });
        let checked = checked.expect("bytes in memory");
        assert_eq!((checked.good, checked.bad, checked.last), (1, 2, 3));
        let bad: Vec<_> = bad
            .iter()
            .map(|bad| (bad.line, bad.reject.reason.as_str()))
            .collect();
        assert_eq!(bad, [(1, "not_json"), (3, "wrong_type")]);
    }

    #[test]
    fn a_batch_is_bounded() {
        let lines: Vec<String> = (0..2_500).map(|n| play(&format!("p{n}"), "one")).collect();
        assert_eq!(
            batches(&lines, 1),
            [(1_000, 0, 1_000), (1_000, 0, 2_000), (500, 0, 2_500)]
        );
    }
}
