//! `rolekeeper publish`: sends the events of a file.

use std::process::Output;

use tempfile::TempDir;

use crate::world::World;
use crate::world::events::{Sent, plays, saved};
use crate::world::nats_options::file;

mod changed;
mod interrupted;
mod refused;
mod sent;

/// A file with one event a line, in a folder that ends with the story.
struct Lines {
    _folder: TempDir,
    path: String,
}

impl Lines {
    fn new(lines: &[Vec<u8>]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = String::from_utf8(lines.join(&b'\n')).expect("UTF-8");
        let path = file(&folder, "plays.ndjson", &text);
        Self {
            _folder: folder,
            path,
        }
    }

    fn of(events: &[Sent]) -> Self {
        Self::new(&events.iter().map(|event| event.wire().1).collect::<Vec<_>>())
    }
}

/// A saved playlist of Ann with this number of plays, with ids from `p-0` on.
fn of_ann(count: u32) -> Vec<Sent> {
    let save = saved("s", "pl_1", crate::world::ANN);
    [vec![save], plays("p", "pl_1", 0..count)].concat()
}

impl World {
    /// The stream has these events, in this order and nothing else.
    fn has_stored(&self, events: &[Sent]) {
        for (seq, event) in (1..).zip(events) {
            self.oracle().stored(seq, event.clone());
        }
    }

    /// Messages in the stream.
    async fn in_stream(&self) -> u64 {
        let stream = self.jetstream.get_stream(crate::world::APP_EVENTS).await;
        stream.expect("the stream").cached_info().state.messages
    }
}

/// The exit code of a command, with its errors.
fn code(output: &Output) -> (Option<i32>, String) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), error)
}
