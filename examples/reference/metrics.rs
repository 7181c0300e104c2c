//! The page of the metrics.
//!
//! Owns its form. Must never say anything that the definition of a metric does not.

use std::fmt::Write as _;

use rolekeeper::bus::STREAMS;
use rolekeeper::metrics::{Described, DescribedLabel, Metrics};

const HEAD: &str = "# Metrics

This page is made from the program by `cargo run --example reference -- docs`; a test compares them. [Operating](operating.md#watch)
says when to page and what to do. Values of labels are listed where they are a closed set; their series exist from the start, except where
0 would be a false value. A histogram `x` has the series `x_bucket`, `x_sum` and `x_count`.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
";

/// The page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    for metric in Metrics::all_described(&STREAMS) {
        let Described { name, kind, help, .. } = &metric;
        let labels: Vec<String> = metric.labels.iter().map(label).collect();
        let help = help.replace('|', "\\|");
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join("; "));
    }
    page
}

fn label(label: &DescribedLabel) -> String {
    let name = &label.name;
    match &label.values {
        None => format!("`{name}`"),
        Some(values) => {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            format!("`{name}`: {}", values.join(", "))
        }
    }
}
