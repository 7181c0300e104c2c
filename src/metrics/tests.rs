//! Unit tests of the metrics: the series that the operator's guide names exist from the start.

use super::Metrics;

/// A metric whose series start with the first value, because 0 would be an alarm.
const LATER: &str = "rolekeeper_stream_headroom_ratio";

/// The metrics of a worker that has just started all stages, as text.
fn at_start() -> String {
    let metrics = Metrics::new(&["APP_EVENTS", "AUTH0_LOGS"]);
    metrics
        .api
        .create_series(&[("/me".to_owned(), "GET")], &["missing"]);
    metrics.reconcile.sweep_failures.start();
    String::from_utf8(metrics.render()).expect("the text format is UTF-8")
}

/// The metrics in `row`, each with its labels if it names some.
fn named(row: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    row.match_indices("rolekeeper_").map(|(at, _)| {
        let rest = &row[at..];
        let ends = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = rest.split_at(ends.unwrap_or(rest.len()));
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = labels.map(|(labels, _)| labels.split(',').collect());
        (name, labels.unwrap_or_default())
    })
}

#[test]
fn every_series_that_the_guide_names_exists_at_the_start() {
    let (text, guide) = (at_start(), include_str!("../../docs/operating.md"));
    let mut seen = 0;
    for row in guide.lines().filter(|line| line.starts_with("| ")) {
        for (name, labels) in named(row).filter(|(name, _)| *name != LATER) {
            let series = text.lines().any(|line| {
                let rest = line
                    .strip_prefix(name)
                    .map(|rest| rest.trim_start_matches("_bucket"));
                let of_it = rest.is_some_and(|rest| rest.starts_with(['{', ' ']));
                of_it
                    && labels
                        .iter()
                        .all(|label| label.contains("!=") || line.contains(label))
            });
            assert!(series, "{name} with {labels:?} is missing, of the row {row}");
            seen += 1;
        }
    }
    assert!(seen > 40, "the guide's table of metrics was not found");
}

#[test]
fn the_doc_comment_is_the_help_text() {
    let text = at_start();
    for line in [
        "# HELP rolekeeper_fold_active 1 while this worker folds the stream",
        "# HELP rolekeeper_roles_externally_removed_total Managed roles found removed by another client although the user still \
         earns them; outcome: restored, left removed, pinned off, or held by the brake",
        "# TYPE rolekeeper_role_lag_seconds histogram",
        "rolekeeper_auth0_calls_total{call=\"get_log\",result=\"gone\"} 0",
        "rolekeeper_stream_full_in_seconds{stream=\"APP_EVENTS\"} inf",
    ] {
        assert!(text.lines().any(|one| one == line), "no line {line}");
    }
}
