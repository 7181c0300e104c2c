//! Edits of one input: what transports, forwarders and attackers do to bytes.
//!
//! Owns the edits and the tokens that they insert. Must never make an input longer than [`MOST_BYTES`].

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Longest input: four times what an event may have, so that limits are met and a quadratic parser is seen.
pub(crate) const MOST_BYTES: usize = 64 << 10;
/// Most edits of one input.
const MOST_EDITS: usize = 6;
/// Most bytes that one edit copies or cuts.
const MOST_COPIED: usize = 256;

/// Texts at which parsers differ, of all the formats.
const TOKENS: [&[u8]; 72] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"\\",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b"\x1e",
    b"\x7f",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\xf0\x9f\x8e\xb5",
    b"\\ud83d",
    b"\\udfff",
    b"\\u0000",
    b"\\u",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"0",
    b"-0",
    b"-1",
    b"1e400",
    b"1e-400",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"0.5",
    b"NaN",
    b"\"type\":",
    b"\"log_id\":",
    b"\"data\":{",
    b"{\"logs\":[",
    b"\"user_id\":",
    b"\"roles\":[",
    b"\"app_metadata\":{",
    b"\"event_id\":",
    b"\"playlist_id\":\"\"",
    b"auth0|",
    b"%7C",
    b"%",
    b"%00",
    b"%2F",
    b"..",
    b"=",
    b"; ",
    b"Bearer ",
    b"0001-01-01T00:00:00+00:01",
    b"9999-12-31T23:59:60Z",
    b"9999-12-31T23:59:59-23:59",
    b"2024-02-30T25:00:00Z",
    b"[[rule]]\n",
    b"'''",
    b"\"\"\"",
    b"#",
    b"3650days",
    b"99999999999999999999s",
    b"\x1f\x8b\x08\x00",
    b"eyJhbGciOiJub25lIn0.",
    b"<html>",
    b"-",
];

/// One edit. A place is a fraction of the length, so that it stays one while other edits are left out.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, usize),
    CutEnd(Index),
    /// Repeats a part of the input.
    Repeat(Index, usize, usize),
    /// Inserts a part of another input.
    Splice(Index, Index, Index, usize),
}

pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<Index>;
    let edit = prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, bits)| Edit::Flip(at, bits)),
        6 => (at(), select(&TOKENS[..])).prop_map(|(at, token)| Edit::Insert(at, token.to_vec())),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        3 => (at(), 1..MOST_COPIED).prop_map(|(at, length)| Edit::Cut(at, length)),
        1 => at().prop_map(Edit::CutEnd),
        2 => (at(), 1..64_usize, 2..40_usize).prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        1 => (at(), 1..16_usize, Just(MOST_BYTES)).prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        4 => (at(), at(), at(), 1..MOST_COPIED)
            .prop_map(|(at, file, from, length)| Edit::Splice(at, file, from, length)),
    ];
    prop::collection::vec(edit, 0..=MOST_EDITS)
}

impl Edit {
    /// Edits `input`; parts of other inputs come from `others`.
    pub(crate) fn apply<'o>(&self, input: &mut Vec<u8>, others: impl Fn(&Index) -> &'o [u8]) {
        let place = |at: &Index| at.index(input.len() + 1);
        match self {
            Self::Flip(at, bits) => {
                let place = place(at);
                if let Some(byte) = input.get_mut(place) {
                    *byte ^= bits;
                }
            }
            Self::Insert(at, bytes) => insert(input, place(at), bytes),
            Self::Cut(at, length) => {
                let from = place(at);
                input.drain(from..(from + length).min(input.len()));
            }
            Self::CutEnd(at) => input.truncate(place(at)),
            Self::Repeat(at, length, times) => {
                let from = place(at);
                let part = input[from..(from + length).min(input.len())].to_vec();
                let room = MOST_BYTES.saturating_sub(input.len());
                let times = (*times).min(room.checked_div(part.len()).unwrap_or(0));
                insert(input, from, &part.repeat(times));
            }
            Self::Splice(at, file, from, length) => {
                let other = others(file);
                let from = from.index(other.len() + 1);
                let part = other[from..(from + length).min(other.len())].to_vec();
                insert(input, place(at), &part);
            }
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let room = MOST_BYTES.saturating_sub(input.len());
    input.splice(at..at, bytes[..bytes.len().min(room)].iter().copied());
}
