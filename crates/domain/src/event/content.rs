//! The content of an event, by which a repeat is told from another event under its id.
//!
//! Owns that the form of an event does not matter: only the values of its fields.

use sha2::{Digest as _, Sha256};

use super::headers::Headers;
use super::raw::Text;
use super::{Raw, fields};
use crate::hash::first_bytes;

/// The beginning of the SHA-256 of the event's fields, in any form; of the payload, if that is no event. Two different
/// contents have equal beginnings with a chance of 1 in 2^64.
#[must_use]
pub fn content_hash(headers: Option<&Headers>, payload: &[u8]) -> i64 {
    let mut hash = Sha256::new();
    match fields(headers, payload) {
        Ok((_, raw)) => {
            for field in all(&raw) {
                // The length divides the fields; no field is as long as this mark of an absent one.
                let length = field.map_or(u32::MAX, |text| u32::try_from(text.len()).unwrap_or(u32::MAX));
                hash.update(length.to_be_bytes());
                hash.update(field.unwrap_or_default());
            }
        }
        Err(_) => hash.update(payload),
    }
    first_bytes(&hash.finalize())
}

/// Every field, in a fixed order.
fn all<'r>(raw: &'r Raw<'_>) -> [Option<&'r str>; 10] {
    let Raw {
        kind,
        event_id,
        playlist_id,
        retracts,
        listener_id,
        song_id,
        played_at,
        reason,
        owner_id,
        name,
    } = raw;
    let fields = [
        kind,
        event_id,
        playlist_id,
        retracts,
        listener_id,
        song_id,
        played_at,
        reason,
        owner_id,
        name,
    ];
    fields.map(|field| field.as_ref().map(|Text(text)| text.as_ref()))
}
