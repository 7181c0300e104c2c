//! Parses the rate-limit headers of a response.
//!
//! Owns their lenient parsing: a header that is absent, malformed or negative is `None`, a number that is too large
//! is the largest value. Must never judge the values; the pacer does.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use time::OffsetDateTime;

use rolekeeper_domain::date;
use rolekeeper_domain::pacer::RateHeaders;

/// Returns the rate-limit values of `headers`.
pub(super) fn read(headers: &HeaderMap) -> RateHeaders {
    RateHeaders {
        limit: number(headers, "x-ratelimit-limit").map(saturating_u32),
        remaining: number(headers, "x-ratelimit-remaining").map(saturating_u32),
        reset_unix_s: number(headers, "x-ratelimit-reset")
            .map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX)),
        retry_after: retry_after(headers),
    }
}

/// Returns `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3). A date is compared with the response's own `Date`: both
/// are of the server's clock, so an error of our clock does not matter.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    if let Some(seconds) = number(headers, RETRY_AFTER.as_str()) {
        return Some(Duration::from_secs(u64::from(saturating_u32(seconds))));
    }
    let until = date::of_header(text(headers, RETRY_AFTER.as_str())?)?;
    let sent = date::of_header(text(headers, DATE.as_str())?)?;
    Some(Duration::try_from(until - sent).unwrap_or(Duration::ZERO))
}

/// Returns when the response was sent, by the server's clock.
pub(super) fn sent_at(headers: &HeaderMap) -> Option<OffsetDateTime> {
    date::of_header(text(headers, DATE.as_str())?)
}

/// Returns a number that consists of digits only; a number beyond `u64` becomes its largest value.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let raw = text(headers, name)?;
    let digits = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| raw.parse().unwrap_or(u64::MAX))
}

fn saturating_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};
    use rolekeeper_domain::pacer::{CallKind, Pacer, RatePlan};

    fn from(pairs: &[(&str, &str)]) -> RateHeaders {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        read(&headers)
    }

    #[test]
    fn plain_headers_are_read_in_any_case() {
        let seen = from(&[
            ("X-RateLimit-Limit", "50"),
            ("X-Ratelimit-Remaining", " 49 "),
            ("x-ratelimit-reset", "1795000000"),
            ("Retry-After", "3"),
        ]);
        assert_eq!(
            seen,
            RateHeaders {
                limit: Some(50),
                remaining: Some(49),
                reset_unix_s: Some(1_795_000_000),
                retry_after: Some(Duration::from_secs(3)),
            }
        );
    }

    #[test]
    fn garbage_is_nothing_and_huge_is_the_largest() {
        assert_eq!(from(&[]), RateHeaders::default());
        for bad in ["", "-1", "ten", "1e3", "0x1", "1.5", "NaN"] {
            let seen = from(&[
                ("x-ratelimit-limit", bad),
                ("x-ratelimit-remaining", bad),
                ("x-ratelimit-reset", bad),
                ("retry-after", bad),
            ]);
            assert_eq!(seen, RateHeaders::default(), "{bad:?}");
        }
        let huge = "9".repeat(40);
        let seen = from(&[
            ("x-ratelimit-limit", &huge),
            ("x-ratelimit-reset", &huge),
            ("retry-after", &huge),
        ]);
        assert_eq!(seen.limit, Some(u32::MAX));
        assert_eq!(seen.reset_unix_s, Some(i64::MAX));
        assert_eq!(seen.retry_after, Some(Duration::from_secs(u64::from(u32::MAX))));
    }

    #[test]
    fn a_date_counts_from_the_date_of_the_reply() {
        let sent = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        let later = from(&[sent, ("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT")]);
        assert_eq!(later.retry_after, Some(Duration::from_secs(90)));
        let earlier = from(&[sent, ("retry-after", "Wed, 21 Oct 2026 07:00:00 GMT")]);
        assert_eq!(earlier.retry_after, Some(Duration::ZERO));
        let alone = from(&[("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT")]);
        assert_eq!(alone.retry_after, None);
    }

    /// Headers that lie, and a budget that believes them: no wait has no end.
    #[test]
    fn fuzz_rate_headers() {
        const LONGEST: Duration = Duration::from_hours(24);
        rolekeeper_fuzz::fuzz("rate_headers", |lines| {
            let mut headers = HeaderMap::new();
            for (name, value) in rolekeeper_fuzz::header_lines(lines) {
                let (name, value) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
                headers.extend(name.ok().zip(value.ok()));
            }
            let (seen, now) = (read(&headers), Duration::from_secs(1));
            let sent = sent_at(&headers).map_or(0, OffsetDateTime::unix_timestamp);
            let mut pacer = Pacer::new(RatePlan::Free, 0.2, Duration::ZERO);
            for kind in [CallKind::Read, CallKind::Write] {
                pacer.answered(now, kind, &seen);
                pacer.limited(now, sent, kind, &seen);
            }
            if let Err(wait) = pacer.take_attempt(now) {
                assert!(wait <= LONGEST, "{wait:?} after {seen:?}");
            }
        });
    }
}
