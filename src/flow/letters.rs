//! Dead letters as the operator sees them, for the commands and the console.
//!
//! Owns the word of a key, and the form of a letter without its message. Must never change a letter.

use crate::bus::STREAMS;
use crate::store::kept_letters::COUNTED_AT_MOST;
use crate::store::{Letter, LetterFilter, LetterKey, Store, StoreError};
use rolekeeper_domain::date::{of_unix_micros, unix_micros};
use rolekeeper_domain::view::letters::{self, LetterCount, LetterPage};
use rolekeeper_domain::view::{Capped, cut};

/// A key as one word, for the next page.
#[must_use]
pub fn word(key: &LetterKey) -> String {
    format!("{}/{}/{}", key.stream, key.seq, unix_micros(key.stored_at))
}

/// The key with this word.
#[must_use]
pub fn key(word: &str) -> Option<LetterKey> {
    let parts: Vec<&str> = word.split('/').collect();
    let [stream, seq, micros] = parts[..] else {
        return None;
    };
    Some(LetterKey {
        stream: self::stream(stream)?.to_owned(),
        seq: seq.parse().ok()?,
        stored_at: of_unix_micros(micros.parse().ok()?)?,
    })
}

/// The stream with this name.
#[must_use]
pub fn stream(name: &str) -> Option<&'static str> {
    STREAMS.into_iter().find(|known| *known == name)
}

/// A letter without its message.
#[must_use]
pub fn shown(letter: &Letter) -> letters::Letter {
    let handled = letter.handled.as_ref();
    letters::Letter {
        key: word(&letter.key),
        stream: letter.key.stream.clone(),
        seq: letter.key.seq,
        stored_at: letter.key.stored_at,
        subject: letter.subject.clone(),
        reason: letter.reason.clone(),
        detail: letter.detail.clone(),
        size_bytes: letter.size,
        kept_bytes: letter.payload.len(),
        kept_at: letter.kept_at,
        kept_by: letter.kept_by.clone(),
        handled: handled.map(|(how, _)| how.clone()),
        handled_at: handled.map(|(_, at)| *at),
    }
}

/// The numbers of letters, by stream and reason.
///
/// # Errors
/// Postgres does not respond.
pub async fn counts(store: &Store, filter: &LetterFilter) -> Result<Vec<LetterCount>, StoreError> {
    let counts = store.letter_counts(filter).await?.into_iter();
    let shown = counts.map(|one| {
        let waiting = Capped::of(one.waiting, COUNTED_AT_MOST);
        LetterCount {
            found: one.found,
            reason: one.reason,
            stream: one.stream,
            waiting: waiting.number,
            waiting_capped: waiting.capped,
        }
    });
    Ok(shown.collect())
}

/// The numbers, and at most `most` letters behind `after`.
///
/// # Errors
/// Postgres does not respond.
pub async fn page(
    store: &Store,
    filter: &LetterFilter,
    after: Option<&LetterKey>,
    most: u32,
) -> Result<LetterPage, StoreError> {
    let mut letters = store.letters(filter, after, i64::from(most) + 1).await?;
    let more = cut(&mut letters, most.into());
    Ok(LetterPage {
        counts: counts(store, filter).await?,
        letters: letters.iter().map(shown).collect(),
        more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word() {
        let text = "APP_EVENTS/4711/1764000000123456";
        assert_eq!(word(&key(text).expect("a key")), text);
        for bad in [
            "",
            "APP_EVENTS/1",
            "OTHER/1/2",
            "APP_EVENTS/x/2",
            "APP_EVENTS/1/99999999999999999999",
        ] {
            assert!(key(bad).is_none(), "{bad}");
        }
    }
}
