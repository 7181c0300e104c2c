//! The counted events of the first pass, in a temporary file, for the second one.
//!
//! Owns the form of the file, a line of JSON for each event. Nothing of it stays on disk: the file has no name.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _};

use serde::{Deserialize, Serialize};

use super::error::SimulateError;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::replay::Place;
use rolekeeper_domain::tally::Step;

/// One event. Sequence and store time are differences from the line before, which are short.
#[derive(Deserialize, Serialize)]
struct Line<'a>(
    /// Number of the playlist.
    usize,
    /// Sequence.
    u64,
    /// Store time, nanoseconds.
    i64,
    /// The event's id.
    #[serde(borrow)]
    &'a str,
    #[serde(borrow)] Change<'a>,
);

/// The change that the event makes.
#[derive(Deserialize, Serialize)]
enum Change<'a> {
    #[serde(rename = "+")]
    Add(i64),
    /// The new owner.
    #[serde(rename = "s", borrow)]
    Save(Cow<'a, str>),
    /// The owner whose playlist alone is deleted.
    #[serde(rename = "d", borrow)]
    Delete(Option<Cow<'a, str>>),
}

impl<'a> Change<'a> {
    fn of(step: &Step<'a>) -> Self {
        match *step {
            Step::Add(delta) => Self::Add(delta),
            Step::Save { owner, .. } => Self::Save(owner.as_str().into()),
            Step::Delete { owner } => Self::Delete(owner.map(|owner| owner.as_str().into())),
        }
    }
}

/// The file while it is written.
pub(super) struct Spool {
    file: BufWriter<File>,
    last: Place,
}

impl Spool {
    pub(super) fn new() -> Result<Self, SimulateError> {
        let file = tempfile::tempfile().map_err(failed)?;
        Ok(Self {
            file: BufWriter::new(file),
            last: Place::default(),
        })
    }

    /// Adds an event, a change of the playlist with this number.
    pub(super) fn add(
        &mut self,
        playlist: usize,
        step: &Step<'_>,
        (event_id, place): (&str, Place),
    ) -> Result<(), SimulateError> {
        let (seq, ns) = (place.seq - self.last.seq, place.stored_ns - self.last.stored_ns);
        self.last = place;
        let line = Line(playlist, seq, ns, event_id, Change::of(step));
        let written = serde_json::to_writer(&mut self.file, &line).map_err(io::Error::from);
        written.and_then(|()| self.file.write_all(b"\n")).map_err(failed)
    }

    /// Ends the file, to be read from its first event on.
    pub(super) fn read(self) -> Result<Spooled, SimulateError> {
        let mut file = self.file.into_inner().map_err(|why| failed(why.into_error()))?;
        file.rewind().map_err(failed)?;
        Ok(Spooled {
            file: BufReader::new(file),
            line: Vec::new(),
            last: Place::default(),
        })
    }
}

/// The file while it is read.
pub(super) struct Spooled {
    file: BufReader<File>,
    line: Vec<u8>,
    last: Place,
}

impl Spooled {
    /// Calls `take` with the next event, as it was added. Returns false after the last one.
    pub(super) fn next(
        &mut self,
        take: impl FnOnce(usize, &Step<'_>, (&str, Place)),
    ) -> Result<bool, SimulateError> {
        self.line.clear();
        if self.file.read_until(b'\n', &mut self.line).map_err(failed)? == 0 {
            return Ok(false);
        }
        let line = serde_json::from_slice(&self.line).map_err(|why| failed(why.into()))?;
        let Line(playlist, seq, ns, event_id, change) = line;
        self.last.seq += seq;
        self.last.stored_ns += ns;
        let user = |id| UserId::parse(id).map_err(|why| failed(io::Error::other(why)));
        let event = (event_id, self.last);
        match change {
            Change::Add(delta) => take(playlist, &Step::Add(delta), event),
            Change::Save(owner) => {
                let owner = &user(owner)?;
                take(playlist, &Step::Save { owner, name: "" }, event);
            }
            Change::Delete(owner) => {
                let owner = owner.map(user).transpose()?;
                take(
                    playlist,
                    &Step::Delete {
                        owner: owner.as_ref(),
                    },
                    event,
                );
            }
        }
        Ok(true)
    }
}

fn failed(why: io::Error) -> SimulateError {
    SimulateError::Spool {
        folder: std::env::temp_dir(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_were_added() {
        let odd = UserId::parse("auth0|a \"quote\" \\ und ü").unwrap();
        let (add, delete_of) = (Step::Add(-1), Step::Delete { owner: Some(&odd) });
        let save = Step::Save {
            owner: &odd,
            name: "",
        };
        let added = [
            (7, add),
            (0, save),
            (70_000, delete_of),
            (1, Step::Delete { owner: None }),
        ];
        let place = |at: usize| Place {
            seq: 5 + 3 * at as u64,
            // A later message may have an earlier time where the clock was set back.
            stored_ns: 1_800_000_000_000_000_000 - i64::try_from(at).unwrap(),
        };
        let mut spool = Spool::new().unwrap();
        for (at, (playlist, step)) in added.iter().enumerate() {
            let id = format!("e{at}");
            spool.add(*playlist, step, (&id, place(at))).unwrap();
        }
        let mut spooled = spool.read().unwrap();
        for (at, (playlist, step)) in added.iter().enumerate() {
            let id = format!("e{at}");
            let is_same = |number, read: &Step<'_>, event: (&str, Place)| {
                assert_eq!((number, read, event), (*playlist, step, (&*id, place(at))));
            };
            assert!(spooled.next(is_same).unwrap());
        }
        assert!(!spooled.next(|_, _, _| panic!("no more")).unwrap());
    }
}
