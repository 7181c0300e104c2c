//! Bodies of the webhook, split into records.

use rolekeeper_domain::log_batch::{self, Piece, UNREADABLE};
use rolekeeper_domain::log_record;

use crate::{Memory, fuzz_within};

/// Separators of records.
const BETWEEN: &[u8] = b"[], \t\r\n\x1e\xef\xbb\xbf";

/// The pieces lie in the body in order, and nothing is lost between them.
fn cover(body: &[u8], pieces: &[Piece<'_>]) {
    let at = |bytes: &[u8]| bytes.as_ptr().addr() - body.as_ptr().addr();
    let mut end = 0;
    for piece in pieces {
        let start = at(piece.bytes);
        assert!(start >= end && !piece.bytes.is_empty(), "out of order at {start}");
        between(&body[end..start]);
        end = start + piece.bytes.len();
    }
    between(&body[end..]);
}

fn between(bytes: &[u8]) {
    let lost: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !BETWEEN.contains(byte))
        .collect();
    assert!(lost.is_empty(), "lost: {}", bytes.escape_ascii());
}

#[test]
fn fuzz_log_batches() {
    // All pieces of a body are kept here, and each has an id of 64 bytes.
    let memory = Memory {
        bytes: 64 << 10,
        each: 512,
    };
    fuzz_within("log_batches", memory, |body| {
        let pieces: Vec<_> = log_batch::split(body).collect();
        // A frame may have other members beside its records.
        if !contains(body, b"logs") {
            cover(body, &pieces);
        }
        for piece in &pieces {
            let (subject, id) = (piece.subject.as_str(), &piece.message_id);
            let is_token = |byte: u8| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
            assert!(
                (1..=64).contains(&subject.len()) && subject.bytes().all(is_token),
                "{subject}"
            );
            assert!(
                (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()),
                "{id}"
            );
            // The fold reads what the webhook took for a record, or names its fault.
            let parsed = log_record::parse(piece.bytes);
            assert!(
                subject != UNREADABLE || parsed.is_err(),
                "{}",
                piece.bytes.escape_ascii()
            );
        }
    });
}

#[test]
fn fuzz_records_that_are_split_again() {
    fuzz_within(
        "log_batches",
        Memory {
            bytes: 64 << 10,
            each: 1_024,
        },
        |body| {
            for piece in log_batch::split(body).filter(|piece| piece.subject.as_str() != UNREADABLE) {
                if contains(piece.bytes, b"logs") {
                    continue;
                }
                let again: Vec<_> = log_batch::split(piece.bytes).collect();
                assert_eq!(again, [piece], "one record is one piece");
            }
        },
    );
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
