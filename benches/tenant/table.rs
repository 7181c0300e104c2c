//! The table: every figure with its goal.
//!
//! Owns columns, medians and the judgement. Must never judge the plain client, which only serves the comparison.

use std::fmt;

/// The goal of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// The figure is shown without a goal.
    None,
    /// Every round must reach the goal.
    AtMost(f64),
    /// The median must reach the goal.
    AtLeast(f64),
}

#[derive(Debug)]
struct Row {
    what: String,
    goal: String,
    rolekeeper: String,
    plain: String,
    reached: Option<bool>,
}

/// The rows of the table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a figure that is the same in each measurement.
    pub(crate) fn count(&mut self, what: &str, goal: Goal, figure: f64) {
        self.rounds(what, goal, &[figure], &[], false);
    }

    /// Adds the figures of all rounds; a share is shown as percent.
    pub(crate) fn rounds(
        &mut self,
        what: &str,
        goal: Goal,
        rolekeeper: &[f64],
        plain: &[f64],
        percent: bool,
    ) {
        let (goal, reached) = match goal {
            Goal::None => (String::new(), None),
            Goal::AtMost(most) => (
                if most > 0.0 {
                    format!("at most {}", shown(most, percent))
                } else {
                    "0".into()
                },
                Some(rolekeeper.iter().all(|one| *one <= most)),
            ),
            Goal::AtLeast(least) => (
                format!(
                    "at least {}",
                    if percent {
                        format!("{:.0} %", least * 100.0)
                    } else {
                        shown(least, false)
                    }
                ),
                Some(median(rolekeeper) >= least),
            ),
        };
        self.rows.push(Row {
            what: what.into(),
            goal,
            rolekeeper: spread(rolekeeper, percent),
            plain: spread(plain, percent),
            reached,
        });
    }

    /// Returns whether every goal is reached.
    pub(crate) fn all_reached(&self) -> bool {
        self.rows.iter().all(|row| row.reached != Some(false))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |cells: [&str; 5]| {
            let [what, goal, rolekeeper, plain, reached] = cells;
            writeln!(
                f,
                "| {what:<56} | {goal:>13} | {rolekeeper:>22} | {plain:>22} | {reached:>7} |"
            )
        };
        line(["", "goal", "rolekeeper", "plain client", "reached"])?;
        line(["---", "---:", "---:", "---:", "---:"])?;
        for row in &self.rows {
            let reached = match row.reached {
                None => "",
                Some(true) => "yes",
                Some(false) => "NO",
            };
            line([&row.what, &row.goal, &row.rolekeeper, &row.plain, reached])?;
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

/// Returns the text `median (smallest-largest)`, or the figure alone where all are the same.
fn spread(figures: &[f64], percent: bool) -> String {
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if figures.is_empty() {
        return String::new();
    }
    let middle = shown(median(figures), percent);
    let (least, most) = (shown(least, percent), shown(most, percent));
    if least == most {
        middle
    } else {
        format!("{middle} ({least}-{most})")
    }
}

fn shown(figure: f64, percent: bool) -> String {
    if percent {
        format!("{:.1} %", figure * 100.0)
    } else if figure.fract() == 0.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.2}")
    }
}
