//! The table: every figure with its goal.
//!
//! Owns columns, medians and the judgement.

use std::fmt;

/// The goal for the median of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
        }
    }
}

#[derive(Debug)]
struct Row {
    what: String,
    goal: Option<Goal>,
    figures: Vec<f64>,
}

impl Row {
    fn reached(&self) -> Option<bool> {
        if self.figures.is_empty() {
            return Some(false);
        }
        let median = median(&self.figures);
        self.goal.map(|goal| match goal {
            Goal::AtLeast(least) => median >= least,
            Goal::AtMost(most) => median <= most,
        })
    }
}

/// The rows of the table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a figure of all rounds, and the goal for its median. Without figures the row shows that it was not measured, and counts as
    /// a goal that was not reached.
    pub(crate) fn row(&mut self, what: &str, goal: Option<Goal>, figures: &[f64]) {
        self.rows.push(Row {
            what: what.to_owned(),
            goal,
            figures: figures.to_vec(),
        });
    }

    /// Returns whether every goal is reached.
    pub(crate) fn all_reached(&self) -> bool {
        self.rows.iter().all(|row| row.reached() != Some(false))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |cells: [&str; 4]| {
            let [what, goal, figure, reached] = cells;
            writeln!(f, "| {what:<58} | {goal:>13} | {figure:>28} | {reached:>7} |")
        };
        line(["", "goal", "measured", "reached"])?;
        line(["---", "---:", "---:", "---:"])?;
        for row in &self.rows {
            let goal = row.goal.map_or_else(String::new, |goal| goal.to_string());
            let reached = match row.reached() {
                None => "",
                Some(true) => "yes",
                Some(false) => "NO",
            };
            line([&row.what, &goal, &spread(&row.figures), reached])?;
        }
        Ok(())
    }
}

/// Returns the median; of two middle values, their mean.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (below, above) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(below), sorted.get(above)) {
        (Some(a), Some(b)) => f64::midpoint(*a, *b),
        _ => f64::NAN,
    }
}

/// Returns the text `median (smallest-largest)`.
fn spread(figures: &[f64]) -> String {
    if figures.is_empty() {
        return "not measured".to_owned();
    }
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shown = |figure: f64| {
        if figure >= 1_000.0 {
            format!("{figure:.0}")
        } else {
            format!("{figure:.2}")
        }
    };
    format!("{} ({}-{})", shown(median(figures)), shown(least), shown(most))
}
