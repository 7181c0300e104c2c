//! Tables in the output of commands.
//!
//! Owns the alignment of columns. Must never print a control character: cells quote text from outside.

use std::fmt::Write as _;

use rolekeeper_domain::explanation::plain;

/// The side of a column to which its cells are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    /// For numbers.
    Right,
}

/// A table: a heading and rows, with two spaces between columns. The last column is not padded.
#[derive(Debug)]
pub(super) struct Table<const COLUMNS: usize> {
    sides: [Side; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// An empty table with this heading.
    pub(super) fn new(heading: [(&str, Side); COLUMNS]) -> Self {
        Self {
            sides: heading.map(|(_, side)| side),
            rows: vec![heading.map(|(name, _)| name.to_owned())],
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.map(|cell| plain(&cell)));
    }

    /// The lines, each behind `indent`.
    pub(super) fn lines(&self, indent: &str) -> String {
        let width = |column: usize| {
            let widths = self.rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or_default()
        };
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        let mut text = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for ((cell, width), side) in row.iter().zip(widths).zip(self.sides) {
                let _ = match side {
                    Side::Left => write!(line, "{cell:width$}  "),
                    Side::Right => write!(line, "{cell:>width$}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Side, Table};

    #[test]
    fn columns_are_aligned_and_lines_end_without_spaces() {
        let mut table = Table::new([("user", Side::Left), ("plays", Side::Right), ("why", Side::Left)]);
        table.row(["auth0|é".to_owned(), "7".to_owned(), "a\nb\u{1b}".to_owned()]);
        table.row(["x".to_owned(), "123456".to_owned(), String::new()]);
        let lines = "  user      plays  why\n  auth0|é       7  a b\n  x        123456\n";
        assert_eq!(table.lines("  "), lines);
    }
}
