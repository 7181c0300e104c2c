//! The settings that documents and files of `deploy/` name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names in capitals that are no settings of rolekeeper: streams, labels of other programs, and their variables.
const OTHERS: [&str; 43] = [
    "AF_INET",
    "AF_INET6",
    "AF_UNIX",
    "APP_EVENTS",
    "AUTH0_LOGS",
    "CLAIM_CLIENTS",
    "CLAIM_NAMESPACE",
    "CLAIM_ROLES",
    "FUZZ_CASES",
    "FUZZ_SEED",
    "GF_ANALYTICS_REPORTING_ENABLED",
    "GF_SECURITY_ADMIN_PASSWORD__FILE",
    "NATS_APP_PASSWORD",
    "LONG_TESTS",
    "NATS_CLUSTER_PORT",
    "NATS_HOST",
    "NATS_PORT",
    "NATS_SERVER_NAME",
    "NATS_STORE_DIR",
    "NODE_EXTRA_CA_CERTS",
    "ON_ERROR_STOP",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "PER_SECOND",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD_FILE",
    "REQUESTS_CA_BUNDLE",
    "ROLEKEEPER_BIN",
    "ROLEKEEPER_HOST",
    "ROLE_CHANGES",
    "RUSTUP_TOOLCHAIN",
    "SQLX_OFFLINE",
    "SSL_CERT_FILE",
    "USER_ID",
    "NATS_ROUTE_PASSWORD",
];
const FOLDERS: [&str; 5] = [
    "docs",
    "docs/runbooks",
    "deploy/systemd",
    "deploy/helm/rolekeeper",
    "deploy/helm/rolekeeper/templates",
];
const FILES: [&str; 4] = [
    "README.md",
    "SECURITY.md",
    "deploy/compose.yaml",
    "deploy/Dockerfile",
];

/// The variables of all commands.
fn settings(command: &clap::Command, found: &mut BTreeSet<String>) {
    let variables = command.get_arguments().filter_map(|argument| argument.get_env());
    found.extend(variables.map(|name| name.to_string_lossy().into_owned()));
    for subcommand in command.get_subcommands() {
        settings(subcommand, found);
    }
}

/// Names in capitals with an underscore; a name after `$` is a variable of a shell.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || c == '.';
    let words = text.split(move |c: char| !is_part(c));
    words.filter(|word| {
        let capital = word.starts_with(|c: char| c.is_ascii_uppercase());
        let plain = word
            .bytes()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
        capital && plain && word.contains('_') && !word.ends_with('_')
    })
}

/// The files to read: path and text.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = FILES.iter().map(|file| root.join(file)).collect();
    for folder in FOLDERS {
        let entries = fs::read_dir(root.join(folder)).expect("a folder of the project");
        paths.extend(
            entries
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| path.is_file()),
        );
    }
    let text = |path: &Path| fs::read_to_string(path).expect("a text file");
    paths
        .iter()
        .map(|path| (path.display().to_string(), text(path)))
        .collect()
}

#[test]
fn every_setting_that_is_documented_or_deployed_exists() {
    let mut known = BTreeSet::new();
    settings(&rolekeeper::cli::command(), &mut known);
    let (mut seen, mut unknown) = (BTreeSet::new(), vec![]);
    for (path, text) in texts() {
        for name in named(&text) {
            let exists = known.contains(name) || OTHERS.contains(&name);
            if !exists {
                unknown.push(format!("{path}: {name}"));
            }
            seen.insert(name.to_owned());
        }
    }
    assert!(unknown.is_empty(), "no setting:\n{}", unknown.join("\n"));
    let stale: Vec<_> = OTHERS.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(stale.is_empty(), "no file names these any more: {stale:?}");
    assert!(seen.len() > 100, "the documents were not read");
}
