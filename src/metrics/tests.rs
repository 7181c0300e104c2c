//! Unit tests of the metrics: the series that the operator's guide, the alerts, the dashboard and the runbooks name exist from
//! the start.

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
    named_with(row, "rolekeeper_")
}

fn named_with<'a>(row: &'a str, prefix: &'a str) -> impl Iterator<Item = (&'a str, Vec<&'a str>)> {
    row.match_indices(prefix).map(|(at, _)| {
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

/// The alerts, their tests and the dashboard.
const WATCHING: [&str; 3] = [
    include_str!("../../deploy/prometheus/rules.yml"),
    include_str!("../../deploy/prometheus/rules.test.yml"),
    include_str!("../../deploy/grafana/rolekeeper.json"),
];

/// Whether a line of the text format is a sample of the metric with this label and, if it is compared with `=`, this value.
fn is_sample(line: &str, name: &str, label: &str) -> bool {
    let rest = line.strip_prefix(name);
    let of_it = rest.is_some_and(|rest| rest.starts_with(['{', ' ']));
    let (key, value) = label.split_once('=').unwrap_or((label, ""));
    let is_exact = value.starts_with('"') && !key.ends_with('!');
    let label = if is_exact {
        label
    } else {
        key.trim_end_matches('!')
    };
    of_it && line.contains(label)
}

/// Labels that Prometheus adds when it scrapes.
fn is_added(label: &str) -> bool {
    ["", "job", "instance"].contains(&label.split(['=', '!']).next().unwrap_or_default())
}

#[test]
fn every_metric_of_the_alerts_and_the_dashboard_exists() {
    let (text, mut seen) = (at_start(), 0);
    let texts = WATCHING.map(|text| text.replace("\\\"", "\""));
    for line in texts.iter().flat_map(|text| text.lines()) {
        let found = named_with(line, "rolekeeper_").chain(named_with(line, "process_"));
        for (name, labels) in found.filter(|(name, _)| *name != LATER) {
            let labels = labels
                .iter()
                .map(|label| label.trim())
                .filter(|label| !is_added(label));
            for label in labels.chain([""]) {
                let exists = text.lines().any(|sample| is_sample(sample, name, label));
                assert!(exists, "no {name} with {label} in: {line}");
                seen += 1;
            }
        }
    }
    assert!(seen > 150, "alerts and dashboard were not read");
}

#[test]
fn every_alert_has_a_test_and_a_runbook() {
    let alerts: Vec<&str> = WATCHING[0]
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 30, "the alerts were not read");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for alert in &alerts {
        let runbook = format!("docs/runbooks/{alert}.md");
        assert!(WATCHING[0].contains(&format!("runbook: {runbook}\n")), "{alert}");
        let text = std::fs::read_to_string(root.join(&runbook)).expect(&runbook);
        for part in [alert, "## Symptom", "## Check", "## Cure"] {
            assert!(text.contains(part), "{runbook} has no {part}");
        }
        for case in ["fires", "is quiet"] {
            let test = format!("- name: {alert} {case}\n");
            assert!(WATCHING[1].contains(&test), "no test: {test}");
        }
    }
    let runbooks = std::fs::read_dir(root.join("docs/runbooks")).expect("the runbooks");
    let names = runbooks.map(|file| file.expect("an entry").file_name());
    // README.md has the list.
    let of_alerts = names.filter(|name| name != "README.md");
    assert_eq!(of_alerts.count(), alerts.len(), "a runbook without an alert");
}
