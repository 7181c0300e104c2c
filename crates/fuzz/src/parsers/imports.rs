//! Files of past plays and counts: NDJSON and CSV.

use rolekeeper_domain::import::{Format, Past, Plays};

use super::{json, names_one_of};
use crate::fuzz;

/// The fields that a refusal may name.
const FIELDS: [&str; 6] = ["line", "type", "playlist_id", "event_id", "played_at", "plays"];

/// The same plays, as a line of CSV with these columns.
fn written(past: &Past) -> String {
    let (event, count) = match &past.plays {
        Plays::One { event, .. } => (event.as_str(), String::new()),
        Plays::Count(count) => ("", count.to_string()),
    };
    format!("{},{event},\"{count}\"", past.playlist)
}

#[test]
fn fuzz_import_files() {
    let csv = Format::of(b"playlist_id,event_id,plays").expect("columns");
    fuzz("imports", |file| {
        let mut lines = file.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let format = match Format::of(first) {
            Ok(format) => format,
            Err(reject) => return names_one_of(&reject, &FIELDS),
        };
        let plays = format.begins_at_once().then_some(first).into_iter().chain(lines);
        for line in plays {
            let past = match format.read(line) {
                Ok(past) => past,
                Err(reject) => {
                    names_one_of(&reject, &FIELDS);
                    continue;
                }
            };
            let again = csv
                .read(written(&past).as_bytes())
                .expect("a line as it was read");
            let without_time = |plays: &Plays| match plays {
                Plays::One { event, .. } => Plays::One {
                    event: event.clone(),
                    at: None,
                },
                count @ Plays::Count(_) => count.clone(),
            };
            assert_eq!(
                (&again.playlist, &again.plays),
                (&past.playlist, &without_time(&past.plays))
            );
            if format == Format::Json {
                let json = json(line).expect("a line of JSON");
                assert_eq!(json["playlist_id"], past.playlist.as_str());
            }
        }
    });
}
