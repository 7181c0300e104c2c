//! The headers of a message that say in which form its event is written.
//!
//! Owns which headers these are, and the bound of their memory. Must never keep another header: thousands of messages are
//! in memory at once, and almost none has one of these.

use std::fmt;

use percent_encoding::{CONTROLS, percent_encode};

/// Most bytes of a value; a longer one is kept just far enough to be refused.
pub(super) const MOST_VALUE_BYTES: usize = 1_024;

/// The header of the media type.
pub(super) const CONTENT_TYPE: &str = "content-type";
/// Beginning of the media types of `CloudEvents`.
pub(super) const MEDIA_TYPE: &str = "application/cloudevents";

/// The headers that matter. NATS compares names without regard to case.
const NAMES: [&str; 7] = [
    "ce-datacontenttype",
    "ce-id",
    "ce-source",
    "ce-specversion",
    "ce-time",
    "ce-type",
    CONTENT_TYPE,
];
/// The attributes that every event in binary mode has: one of them shows the mode.
const REQUIRED: [&str; 4] = ["ce-id", "ce-source", "ce-specversion", "ce-type"];

/// The headers of a message whose event is a `CloudEvent`: in the order of their names, with each value as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers(Vec<(&'static str, String)>);

impl Headers {
    /// The headers among `all` that matter; `None` if the message has the plain form.
    #[must_use]
    pub fn among<'h>(all: impl IntoIterator<Item = (&'h str, &'h str)>) -> Option<Box<Self>> {
        let mut kept: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in all {
            // Of a usual message this comparison is all.
            if !matches!(name.as_bytes(), [b'c' | b'C', ..]) {
                continue;
            }
            if let Some(name) = NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name)) {
                let end = value.ceil_char_boundary(MOST_VALUE_BYTES + 1);
                kept.push((name, value[..end].to_owned()));
            }
        }
        let is_cloud_event = kept.iter().any(|(name, value)| {
            REQUIRED.contains(name) || (*name == CONTENT_TYPE && begins_with(value, MEDIA_TYPE))
        });
        kept.sort_unstable();
        is_cloud_event.then(|| Box::new(Self(kept)))
    }

    /// The same, among the lines of a header block; lines that are not UTF-8 are left out.
    #[must_use]
    pub fn of_block(block: &[u8]) -> Option<Box<Self>> {
        let lines = block.split(|byte| *byte == b'\n');
        let lines = lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'));
        Self::among(lines.map(|(name, value)| (name, value.trim())))
    }

    /// About how many bytes of memory they use.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let one = |(_, value): &(&str, String)| size_of::<(&str, String)>() + value.len();
        self.0.iter().map(one).sum()
    }

    /// The values of this header, of [`NAMES`].
    pub(super) fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h str> {
        let of_name = self.0.iter().filter(move |(known, _)| *known == name);
        of_name.map(|(_, value)| value.as_str())
    }
}

/// As lines of ASCII, from which [`Headers::of_block`] makes headers with the same meaning again.
impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.0.iter().enumerate() {
            let end = if place == 0 { "" } else { "\n" };
            let value = percent_encode(value.as_bytes(), CONTROLS);
            write!(f, "{end}{name}: {value}")?;
        }
        Ok(())
    }
}

/// Whether `text` begins with `start`, without regard to case.
pub(super) fn begins_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_message_has_none() {
        for all in [
            &[][..],
            &[("Nats-Msg-Id", "e1")],
            &[("Content-Type", "application/json"), ("ce-time", "now")],
            &[("ce-traceparent", "00-")],
            &[("content-type", "é")],
        ] {
            assert_eq!(Headers::among(all.iter().copied()), None, "{all:?}");
        }
    }

    #[test]
    fn names_and_media_types_are_compared_without_case() {
        for (name, value) in [
            ("Content-Type", "Application/CloudEvents+JSON; charset=utf-8"),
            ("content-type", "application/cloudevents"),
            ("CE-Id", "e1"),
            ("ce-specversion", ""),
        ] {
            let kept = Headers::among([("Nats-Msg-Id", "e1"), (name, value)]).unwrap();
            assert_eq!(kept.all(&name.to_ascii_lowercase()).collect::<Vec<_>>(), [value]);
        }
    }

    #[test]
    fn a_text_of_them_is_read_as_they_were() {
        let all = [("ce-type", "play"), ("ce-id", " a:b "), ("Ce-Id", "c")];
        let kept = Headers::among(all.map(|(name, value)| (name, value.trim()))).unwrap();
        assert_eq!(kept.to_string(), "ce-id: a:b\nce-id: c\nce-type: play");
        assert_eq!(Headers::of_block(kept.to_string().as_bytes()), Some(kept));
        let odd = Headers::among([("ce-source", "/é\0\n%41")]).unwrap();
        assert_eq!(odd.to_string(), "ce-source: /%C3%A9%00%0A%41");
        let block = b"NATS/1.0\r\nNats-Msg-Id: 1\r\nX: \xff\r\nce-id: 1\r\n\r\n";
        assert_eq!(Headers::of_block(block).unwrap().to_string(), "ce-id: 1");
    }

    #[test]
    fn a_long_value_is_cut_where_it_is_too_long_anyway() {
        let long = "é".repeat(10_000);
        let kept = Headers::among([("ce-source", long.as_str())]).unwrap();
        let value = kept.all("ce-source").next().unwrap();
        assert!(value.len() > MOST_VALUE_BYTES && kept.held_bytes() < 2 * MOST_VALUE_BYTES);
    }
}
