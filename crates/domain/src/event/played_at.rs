//! Checks whether a text is an RFC 3339 time.
//!
//! Owns this check alone: no count needs the time itself. Must never differ from the library's parser.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Whether `text` is an RFC 3339 time, as the library parses it.
#[expect(
    clippy::disallowed_methods,
    reason = "checks the form only, and keeps no date"
)]
pub(super) fn is_time(text: &str) -> bool {
    is_usual(text.as_bytes()) || OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

/// Whether `text` is a time in the form that app servers send, like `2026-11-23T10:00:00.123Z`, on a day that every
/// month has. The library needs several times as long for this check, and almost every event has a time.
fn is_usual(text: &[u8]) -> bool {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        mi1,
        mi2,
        b':',
        s1,
        s2,
        rest @ ..,
    ] = text
    else {
        return false;
    };
    let fraction = match rest {
        [b'Z'] => true,
        [b'.', first, others @ .., b'Z'] => first.is_ascii_digit() && others.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    fraction
        && [y1, y2, y3, y4].iter().all(|digit| digit.is_ascii_digit())
        && matches!([mo1, mo2], [b'0', b'1'..=b'9'] | [b'1', b'0'..=b'2'])
        && matches!(
            [d1, d2],
            [b'0', b'1'..=b'9'] | [b'1', b'0'..=b'9'] | [b'2', b'0'..=b'8']
        )
        && matches!([h1, h2], [b'0'..=b'1', b'0'..=b'9'] | [b'2', b'0'..=b'3'])
        && matches!([mi1, mi2], [b'0'..=b'5', b'0'..=b'9'])
        && matches!([s1, s2], [b'0'..=b'5', b'0'..=b'9'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the reference for the fast path")]
    fn library(text: &str) -> bool {
        OffsetDateTime::parse(text, &Rfc3339).is_ok()
    }

    #[test]
    fn borderline_times_are_judged_as_the_library_does() {
        let table = [
            ("2026-11-23T10:00:00Z", true),
            ("2026-11-23T10:00:00.1Z", true),
            ("2026-11-23T10:00:00.123456789Z", true),
            (
                "2026-11-23T10:00:00.1234567890123456789012345678901234567890Z",
                true,
            ),
            ("0000-01-01T00:00:00Z", true),
            ("9999-12-31T23:59:59.999999999Z", true),
            ("2026-11-23t10:00:00z", true),
            ("2026-11-23 10:00:00Z", true),
            ("2026-11-23_10:00:00Z", true),
            ("2026-11-23T10:00:00+00:00", true),
            ("2026-11-23T10:00:00-23:59", true),
            ("2024-02-29T10:00:00Z", true),
            ("2016-12-31T23:59:60Z", true),
            ("2017-01-01T00:59:60+01:00", true),
            ("2026-11-23T23:59:60Z", false),
            ("2026-11-23T10:00:60Z", false),
            ("2026-02-29T10:00:00Z", false),
            ("2026-04-31T10:00:00Z", false),
            ("2026-11-23T24:00:00Z", false),
            ("2026-11-23T10:60:00Z", false),
            ("2026-11-23T10:00:00+24:00", false),
            ("2026-11-23T10:00:00+0000", false),
            ("2026-11-23T10:00:00.Z", false),
            ("2026-11-23T10:00:00,1Z", false),
            ("2026-11-23T10:00:00.1.2Z", false),
            ("2026-11-23T10:00:00.-1Z", false),
            ("2026-11-23T10:00:00", false),
            ("2026-11-23T10:00Z", false),
            ("2026-11-23", false),
            ("20261123T100000Z", false),
            ("+2026-11-23T10:00:00Z", false),
            ("02026-11-23T10:00:00Z", false),
            (" 2026-11-23T10:00:00Z", false),
            ("2026-11-23T10:00:00Z ", false),
            ("2026-11-23T10:00:00ZZ", false),
            ("2026-11-23é10:00:00Z", false),
            ("２026-11-23T10:00:00Z", false),
            ("2026-11-23T10:00:00.１Z", false),
            ("2026-11-2\0T10:00:00Z", false),
            ("", false),
        ];
        for (text, right) in table {
            assert_eq!(library(text), right, "{text}");
            assert_eq!(is_time(text), right, "{text}");
        }
    }

    #[test]
    fn two_digits_in_any_place_are_read_as_the_library_does() {
        let usual = "2026-11-23T10:00:00Z";
        for at in [0, 2, 5, 8, 11, 14, 17] {
            for digits in 0..100 {
                let mut text = usual.to_owned();
                text.replace_range(at..at + 2, &format!("{digits:02}"));
                assert_eq!(is_time(&text), library(&text), "{text}");
            }
        }
    }

    #[test]
    fn what_app_servers_send_needs_no_library() {
        for text in [
            "2026-11-23T10:00:00Z",
            "2026-11-23T10:00:00.123Z",
            "2026-01-28T00:00:00.123456Z",
        ] {
            assert!(is_usual(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_nearly_a_time_is_judged_as_the_library_does(
            date in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt _é]",
            time in "[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,12})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])?",
            at in 0..20_usize,
            other in prop::option::of(any::<char>()),
        ) {
            let mut text: Vec<char> = date.chars().chain(time.chars()).collect();
            if let (Some(other), Some(place)) = (other, text.get_mut(at)) {
                *place = other;
            }
            let text: String = text.into_iter().collect();
            prop_assert_eq!(is_time(&text), library(&text), "{}", text);
        }
    }
}
