//! The table of stories: each crash point has one that reaches it. Must never name a point that the source does not have.

use std::collections::BTreeSet;

use crate::house::crash_points::points;

/// The stories, each with its points.
const STORIES: &str = include_str!("stories.txt");
/// Commands of the operator, each with its points.
const COMMANDS: &str = include_str!("commands.txt");

/// The points of a story, in order.
pub(super) fn points_of(story: &str) -> Vec<&'static str> {
    let mut stories = sections(STORIES).into_iter();
    let found = stories.find(|(title, _)| *title == story);
    found.unwrap_or_else(|| panic!("no story `{story}`")).1
}

/// The commands, in the order in which they run, each with its points.
pub(super) fn commands() -> Vec<(&'static str, Vec<&'static str>)> {
    sections(COMMANDS)
}

/// Titles with the lines below them.
fn sections(text: &'static str) -> Vec<(&'static str, Vec<&'static str>)> {
    let parts = text.split("# ").skip(1);
    parts
        .map(|part| {
            let mut lines = part.lines();
            let title = lines.next().unwrap_or_default();
            (title, lines.filter(|line| !line.is_empty()).collect())
        })
        .collect()
}

#[test]
fn every_crash_point_has_a_story() {
    let mut named = Vec::new();
    for (_, points) in [sections(STORIES), sections(COMMANDS)].concat() {
        named.extend(points);
    }
    let table: BTreeSet<String> = named.iter().map(|&point| point.to_owned()).collect();
    assert_eq!(named.len(), table.len(), "a point has one story");
    let source: BTreeSet<String> = points().into_iter().collect();
    let without: Vec<_> = source.difference(&table).collect();
    let gone: Vec<_> = table.difference(&source).collect();
    assert!(
        without.is_empty() && gone.is_empty(),
        "without a story: {without:#?}; no such points: {gone:#?}"
    );
}
