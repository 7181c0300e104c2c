//! Descriptions of the metrics, for their reference.
//!
//! Owns the values of a description. Must never be written by hand: it is made from the definition.

/// A metric without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: Vec<DescribedLabel>,
    /// Its HELP text.
    pub help: String,
}

/// A label of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedLabel {
    /// Its name.
    pub name: String,
    /// Its values, where they are a closed set of this crate.
    pub values: Option<Vec<&'static str>>,
}

impl DescribedLabel {
    /// A label whose values are found while the worker runs.
    pub(super) fn open(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            values: None,
        }
    }

    /// A label with these values.
    pub(super) fn closed(name: &str, values: Vec<&'static str>) -> Self {
        Self {
            name: name.to_owned(),
            values: Some(values),
        }
    }
}
