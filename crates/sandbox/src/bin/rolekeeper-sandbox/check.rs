//! One check of the run.
//!
//! Owns its parts: the condition, whether it holds, and the figures.

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// The condition, as text.
    pub(super) what: &'static str,
    pub(super) holds: bool,
    /// The figures of both sides, as text.
    pub(super) figures: String,
}

impl Check {
    pub(super) fn new(what: &'static str, holds: bool, figures: String) -> Self {
        Self { what, holds, figures }
    }
}
