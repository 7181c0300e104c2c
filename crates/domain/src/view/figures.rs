//! Figures for the operator: numbers, rates and spans of time.
//!
//! Owns how they read, on pages and in the output of commands. Must never be parsed again: `--json` has the numbers themselves.

/// A whole number with its digits in groups of three.
#[must_use]
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 {
        text.insert(0, '-');
    }
    text
}

/// A rate a second; few digits are enough.
#[must_use]
pub fn rate(per_s: Option<f64>) -> String {
    match per_s {
        None => "-".to_owned(),
        Some(per_s) if per_s < 10.0 && per_s > 0.0 => format!("{per_s:.1}/s"),
        Some(per_s) => format!("{}/s", grouped(whole(per_s))),
    }
}

/// A span of time in one unit.
#[must_use]
pub fn span(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 120.0 => (s, "s"),
        s if s < 2.0 * 3_600.0 => (s / 60.0, "min"),
        s if s < 48.0 * 3_600.0 => (s / 3_600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    format!("{} {unit}", grouped(whole(number)))
}

/// A number without its fraction.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a figure for the operator; the cast saturates"
)]
#[must_use]
pub fn whole(number: f64) -> i64 {
    number.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (-1_234_567, "-1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(
            (rate(Some(0.25)), rate(Some(1234.6))),
            ("0.2/s".into(), "1,235/s".into())
        );
        let spans: Vec<String> = [0.4, 119.0, 120.0, 7_200.0, 172_800.0].map(span).into();
        assert_eq!(spans, ["0 s", "119 s", "2 min", "2 h", "2 days"]);
    }
}
