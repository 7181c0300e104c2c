//! The frame of a plot: scales, lines and the labels of times.
//!
//! Owns the arithmetic. Coordinates are those of the view box.

use time::OffsetDateTime;
use time::macros::format_description;

use rolekeeper_domain::view::figures::grouped;

/// Width and height of a plot, and the room for its labels.
const WIDTH: i32 = 1_000;
const HEIGHT: i32 = 260;
const LEFT: i32 = 64;
const TOP: i32 = 12;
const BOTTOM: i32 = 24;

/// The frame.
pub(super) struct Plot {
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) left: i32,
    /// Lines at round values.
    pub(super) lines: Vec<Line>,
    /// The line of 0.
    pub(super) zero: String,
    pub(super) bars: Vec<Bar>,
    pub(super) times: Vec<Tick>,
    low: f64,
    high: f64,
}

/// A horizontal line with its label.
pub(super) struct Line {
    pub(super) y: i32,
    pub(super) text: String,
}

/// A bar.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) width: String,
    pub(super) height: String,
    pub(super) title: String,
}

/// A time below the plot.
pub(super) struct Tick {
    pub(super) x: i32,
    pub(super) text: String,
    pub(super) anchor: &'static str,
}

impl Plot {
    /// A plot of values from `low` to `high`, with lines at round values; the labels show no sign.
    pub(super) fn new(low: i64, high: i64) -> Self {
        let step = round_step(high - low);
        let (first, last) = (low.div_euclid(step), -(-high).div_euclid(step));
        let last = last.max(first + 1);
        let mut plot = Self {
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            lines: vec![],
            zero: String::new(),
            bars: vec![],
            times: vec![],
            low: (first * step) as f64,
            high: (last * step) as f64,
        };
        plot.lines = (first..=last)
            .map(|at| Line {
                y: pixel(plot.y((at * step) as f64)),
                text: grouped((at * step).abs()),
            })
            .collect();
        plot.zero = format!("{:.1}", plot.y(0.0));
        plot
    }

    /// The place of a value.
    pub(super) fn y(&self, value: f64) -> f64 {
        let room = f64::from(HEIGHT - TOP - BOTTOM);
        f64::from(TOP) + (self.high - value) / (self.high - self.low) * room
    }

    /// The place of a share of the period.
    pub(super) fn x(share: f64) -> f64 {
        f64::from(LEFT) + share * f64::from(WIDTH - LEFT)
    }

    /// Labels the beginning, the middle and the end.
    pub(super) fn label_times(&mut self, from: OffsetDateTime, to: OffsetDateTime) {
        for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
            let at = from + (to - from) * share;
            let format = format_description!("[month]-[day] [hour]:[minute]:[second]Z");
            self.times.push(Tick {
                x: pixel(Self::x(share)),
                text: at.format(format).unwrap_or_default(),
                anchor,
            });
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a place inside the view box")]
pub(super) fn pixel(place: f64) -> i32 {
    place.round() as i32
}

/// A step of 1, 2 or 5 times a power of ten that divides a range into about five parts.
fn round_step(range: i64) -> i64 {
    let rough = (range / 5).max(1);
    let mut step = 1_i64;
    loop {
        for factor in [1, 2, 5] {
            if step.saturating_mul(factor) >= rough {
                return step.saturating_mul(factor);
            }
        }
        step = step.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_at_round_values() {
        for (low, high, expected) in [
            (0, 0, vec!["0", "1"]),
            (0, 7, vec!["0", "1", "2", "3", "4", "5", "6", "7"]),
            (-30, 100, vec!["50", "0", "50", "100"]),
        ] {
            let plot = Plot::new(low, high);
            let texts: Vec<&str> = plot.lines.iter().map(|line| line.text.as_str()).collect();
            assert_eq!(texts, expected, "{low} to {high}");
        }
        assert_eq!(round_step(i64::MAX), round_step(i64::MAX));
    }
}
