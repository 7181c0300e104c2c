//! The filters of the templates.
//!
//! Owns their names. Each makes text, which the template escapes.
#![expect(
    unreachable_pub,
    clippy::inline_always,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "the macro of the library makes public methods that return a result"
)]

use std::fmt::Display;

use askama::{Result, Values};
use time::OffsetDateTime;

use super::text;
use rolekeeper_domain::date::unix_micros;
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::view::figures;

/// A time, behind any number of references.
pub(super) trait Moment {
    /// The time itself.
    fn at(&self) -> OffsetDateTime;
}

impl Moment for OffsetDateTime {
    fn at(&self) -> OffsetDateTime {
        *self
    }
}

impl<T: Moment + ?Sized> Moment for &T {
    fn at(&self) -> OffsetDateTime {
        (**self).at()
    }
}

/// A time in UTC and whole seconds.
#[askama::filter_fn]
pub(super) fn when<T: Moment>(at: T, _: &dyn Values) -> Result<String> {
    Ok(moment(at.at()))
}

/// A time in microseconds, for a form.
#[askama::filter_fn]
pub(super) fn micros<T: Moment>(at: T, _: &dyn Values) -> Result<String> {
    Ok(unix_micros(at.at()).to_string())
}

/// A text from outside.
#[askama::filter_fn]
pub(super) fn visible<T: Display>(shown: T, _: &dyn Values) -> Result<String> {
    Ok(text::visible(&shown.to_string()))
}

/// The same in several lines.
#[askama::filter_fn]
pub(super) fn visible_lines<T: Display>(shown: T, _: &dyn Values) -> Result<String> {
    Ok(text::visible_lines(&shown.to_string()))
}

/// A whole number.
#[askama::filter_fn]
pub(super) fn number<T: Display>(number: T, _: &dyn Values) -> Result<String> {
    let shown = number.to_string();
    Ok(shown.parse().map_or(shown, figures::grouped))
}

/// A number without its fraction.
#[askama::filter_fn]
pub(super) fn whole<T: Display>(number: T, _: &dyn Values) -> Result<String> {
    let shown = number.to_string();
    Ok(shown
        .parse()
        .map_or(shown, |number| figures::grouped(figures::whole(number))))
}

/// Seconds as a span of time.
#[askama::filter_fn]
pub(super) fn span<T: Display>(seconds: T, _: &dyn Values) -> Result<String> {
    let shown = seconds.to_string();
    Ok(shown.parse().map_or(shown, figures::span))
}

/// A clause as a sentence.
#[askama::filter_fn]
pub(super) fn sentence<T: Display>(clause: T, _: &dyn Values) -> Result<String> {
    Ok(text::sentence(clause))
}
