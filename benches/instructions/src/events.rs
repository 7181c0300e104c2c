//! Events as app servers publish them: almost all are plays, and a few playlists are played most.
//!
//! Owns the mix. Must always return the same events: it uses a fixed pseudo-random sequence.

use rolekeeper_domain::event::partition;

/// Events of one transaction.
pub const BATCH: u64 = 10_000;

const PLAYLISTS: f64 = 1_000_000.0;

/// One message of the stream.
#[derive(Debug)]
pub struct Message {
    /// Its subject.
    pub subject: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// Returns this many batches, with different events.
#[must_use]
pub fn batches(count: u64) -> Vec<Vec<Message>> {
    let batch = |number| (number * BATCH..(number + 1) * BATCH).map(message).collect();
    (0..count).map(batch).collect()
}

/// Of a hundred events, one saves a playlist and one retracts a play; of a thousand, one deletes a playlist.
fn message(number: u64) -> Message {
    let id = playlist(mixed(number));
    let listening = format!(
        "\"playlist_id\":\"{id}\",\"listener_id\":\"auth0|65f1c0ffee{:010}\",\"song_id\":\"s_{:06}\",\
         \"played_at\":\"2026-11-23T10:00:00.123Z\"",
        number * 7_919 % 1_000_003,
        number % 999_983,
    );
    let event_id = format!("01JD9ZK4{number:018}");
    let (under, body) = match number % 1_000 {
        0 => (
            "playlists",
            format!("{{\"type\":\"playlist_deleted\",\"event_id\":\"{event_id}\",\"playlist_id\":\"{id}\"}}"),
        ),
        kind if kind % 100 == 1 => (
            "playlists",
            format!(
                "{{\"type\":\"playlist_saved\",\"event_id\":\"{event_id}\",\"playlist_id\":\"{id}\",\
                 \"owner_id\":\"auth0|{number:024}\",\"name\":\"Road \\\"trip\\\" {number}\"}}"
            ),
        ),
        kind if kind % 100 == 2 => (
            "plays",
            format!(
                "{{\"type\":\"play_retracted\",\"event_id\":\"{event_id}\",\"retracts\":\"01JD9ZK3{number:018}\",\
                 {listening},\"reason\":\"bot\"}}"
            ),
        ),
        _ => (
            "plays",
            format!("{{\"type\":\"play\",\"event_id\":\"{event_id}\",{listening}}}"),
        ),
    };
    Message {
        subject: format!("{under}.{}", partition(&id)),
        payload: body.into_bytes(),
    }
}

/// Returns a playlist. The second one is played about half as often as the first, and so on.
fn playlist(random: u64) -> String {
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of playlists"
    )]
    let number = PLAYLISTS.powf(share) as u32 - 1;
    let scattered = number.wrapping_mul(2_654_435_761).rotate_left(13) ^ 0x5bd1_e995;
    format!("pl_{scattered:08x}{number:010}")
}

/// Returns the next number of a pseudo-random sequence (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
