//! The time range in which our write may have overwritten another client's write.
//!
//! Owns the tolerance for clocks and headers. Must never rely on anything but Auth0's responses to our own calls: the
//! profile's `updated_at` may be days old at the read, and a record's times are unverified input.

use time::{Duration, OffsetDateTime};

/// The `Date` header has whole seconds, and a record's date is some milliseconds later than the write.
const TOLERANCE: Duration = Duration::seconds(2);

/// The time from our read to our write, by Auth0's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: OffsetDateTime,
    until: OffsetDateTime,
}

impl Window {
    /// From the `Date` of the response to the GET to the `updated_at` in the response to the PATCH.
    #[must_use]
    pub fn between(read: OffsetDateTime, wrote: OffsetDateTime) -> Self {
        // Years 1 and 9999 leave no room for a tolerance.
        Self {
            from: read.checked_sub(TOLERANCE).unwrap_or(read),
            until: wrote.checked_add(TOLERANCE).unwrap_or(wrote),
        }
    }

    /// Whether our write may have overwritten a write at this time.
    #[must_use]
    pub fn contains(&self, at: OffsetDateTime) -> bool {
        (self.from..=self.until).contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_write_counts_from_just_before_the_read() {
        let window = Window::between(
            datetime!(2026-11-24 10:00:00 UTC),
            datetime!(2026-11-24 10:00:00.4 UTC),
        );
        for (at, inside) in [
            (datetime!(2026-11-24 09:59:57.9 UTC), false),
            (datetime!(2026-11-24 09:59:58 UTC), true),
            (datetime!(2026-11-24 10:00:02.4 UTC), true),
            (datetime!(2026-11-24 10:00:02.5 UTC), false),
            (datetime!(2026-11-18 10:00:00 UTC), false),
        ] {
            assert_eq!(window.contains(at), inside, "{at}");
        }
    }
}
