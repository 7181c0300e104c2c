//! Durations as text: `90s`, `15m`, `2h`, `7days`.
//!
//! Owns the longest accepted duration.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

/// Longer durations are a mistake, and would exceed the calendar.
const LONGEST: Duration = Duration::from_hours(24 * 3650);

pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*span))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    match humantime::parse_duration(&text) {
        Ok(span) if span <= LONGEST => Ok(span),
        Ok(_) => Err(D::Error::custom(format!("\"{text}\" is longer than 3650days"))),
        Err(_) => Err(D::Error::custom(format!(
            "\"{}\" is no duration, expected one like 90s, 15m, 2h or 7days",
            text.escape_debug()
        ))),
    }
}
