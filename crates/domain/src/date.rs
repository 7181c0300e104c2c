//! Parses untrusted dates: texts in records, profiles, headers and events, and the bus' store times.
//!
//! Owns the valid range: the years 1 to 9999 in UTC, which Postgres, its driver and RFC 3339 can all represent. The
//! driver panics on any other date, and a panic ends the process. Must never return a date outside it, nor panic
//! itself; no other place may parse an untrusted date.

use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::datetime;
use time::{OffsetDateTime, UtcOffset};

const FIRST: OffsetDateTime = datetime!(0001-01-01 0:00 UTC);
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59.999_999 UTC);

/// Parses an RFC 3339 date.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the range is judged here")]
pub fn of_text(text: &str) -> Option<OffsetDateTime> {
    whole_micros(OffsetDateTime::parse(text, &Rfc3339).ok()?)
}

/// Parses the date of a header (RFC 9110 writes dates as RFC 2822 does).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the range is judged here")]
pub fn of_header(text: &str) -> Option<OffsetDateTime> {
    whole_micros(OffsetDateTime::parse(text, &Rfc2822).ok()?)
}

/// The date of Unix nanoseconds, limited to the calendar.
#[must_use]
pub fn of_unix_ns(ns: i64) -> OffsetDateTime {
    let exact = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ns)).ok();
    exact.and_then(whole_micros).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The date of Unix microseconds; `None` outside the range.
#[must_use]
pub fn of_unix_micros(micros: i64) -> Option<OffsetDateTime> {
    whole_micros(OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()?)
}

/// The Unix microseconds of a date.
#[must_use]
pub fn unix_micros(at: OffsetDateTime) -> i128 {
    at.unix_timestamp_nanos() / 1_000
}

/// The date in UTC and whole microseconds, the precision of Postgres; `None` outside the range.
#[must_use]
pub fn whole_micros(at: OffsetDateTime) -> Option<OffsetDateTime> {
    let at = at.checked_to_offset(UtcOffset::UTC)?;
    let at = at.replace_nanosecond(at.nanosecond() / 1_000 * 1_000).ok()?;
    (FIRST..=LAST).contains(&at).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn f45_dates_at_the_ends_of_the_calendar_are_none() {
        for none in [
            "9999-12-31T23:59:59-23:59",
            "9999-12-31T23:59:59.999999999-00:01",
            "0000-01-01T00:00:00Z",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "0000-01-01T00:00:00+23:59",
            "soon",
            "",
        ] {
            assert_eq!(of_text(none), None, "{none}");
        }
        let last = of_text("9999-12-31T23:59:59.999999999Z");
        assert_eq!(last, Some(LAST));
        assert_eq!(of_text("0000-12-31T23:59:00-00:01"), Some(FIRST));
        assert_eq!(of_text("9999-12-31T23:59:59.999999+00:00"), last);
        assert_eq!(
            of_header("Wed, 21 Oct 2026 07:28:00 GMT"),
            of_text("2026-10-21T07:28:00Z")
        );
        for ns in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(whole_micros(of_unix_ns(ns)), Some(of_unix_ns(ns)), "{ns}");
        }
    }

    proptest! {
        #[test]
        fn f45_every_date_can_be_written_everywhere(
            year in prop_oneof![Just(0_u16), Just(1), Just(9998), Just(9999), 0..10_000_u16],
            rest in "(01-01|12-31)T(00|23):(00|59):(00|59)(\\.[0-9]{1,9})?(Z|[+-](00|12|23):(00|01|59))",
        ) {
            let text = format!("{year:04}-{rest}");
            if let Some(date) = of_text(&text) {
                // The driver and serde write it in this form.
                prop_assert_eq!(date.checked_to_offset(UtcOffset::UTC), Some(date));
                let written = date.format(&Rfc3339).unwrap();
                prop_assert_eq!(of_text(&written), Some(date));
                let micros = (date - datetime!(2000-01-01 0:00 UTC)).whole_microseconds();
                prop_assert!(i64::try_from(micros).is_ok());
            }
        }

        #[test]
        fn f45_no_text_makes_it_panic(text in "\\PC{0,40}|[0-9+:TZ.-]{0,40}") {
            let _ = (of_text(&text), of_header(&text));
        }
    }
}
