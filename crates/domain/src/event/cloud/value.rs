//! The value of an attribute in a header.
//!
//! Owns its escapes, which are those of the NATS binding of `CloudEvents`. Must never take one of two values.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::event::headers::{Headers, MOST_VALUE_BYTES};
use crate::event::{Reason, Reject, bad_value};

/// The value of this header; `None` without one.
pub(super) fn only<'a>(name: &str, headers: &'a Headers) -> Result<Option<Cow<'a, str>>, Reject> {
    let mut values = headers.all(name);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Reject::new(
            Reason::DuplicateField,
            name,
            "expected this header once",
        ));
    }
    if value.len() > MOST_VALUE_BYTES {
        let fault = format!("expected at most {MOST_VALUE_BYTES} bytes");
        return Err(Reject::new(Reason::Oversized, name, fault));
    }
    decoded(value)
        .map(Some)
        .ok_or_else(|| bad_value(name, "expected UTF-8, percent-encoded", value))
}

/// Removes quotes, and then one round of percent-encoding.
fn decoded(value: &str) -> Option<Cow<'_, str>> {
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let Some(quoted) = quoted else {
        return percent_decode_str(value).decode_utf8().ok();
    };
    let mut unquoted = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(one) = chars.next() {
        match one {
            '\\' => unquoted.extend(chars.next()),
            one => unquoted.push(one),
        }
    }
    let decoded = percent_decode_str(&unquoted).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_as_the_binding_says() {
        for (value, right) in [
            ("e1", Some("e1")),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", Some("Euro € 😀")),
            ("%e2%82%ac%41", Some("€A")),
            ("100%", Some("100%")),
            ("%2541", Some("%41")),
            ("\"a \\\"b\\\" %41\\\\\"", Some("a \"b\" A\\")),
            ("\"", Some("\"")),
            ("\"\"", Some("")),
            ("%C0%A0", None),
            ("\"%ff\"", None),
        ] {
            assert_eq!(decoded(value).as_deref(), right, "{value}");
        }
    }
}
