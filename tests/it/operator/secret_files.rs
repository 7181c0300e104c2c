//! Secrets in files, and the warnings for addresses without TLS.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::world::nats_options::{file, server};
use crate::world::{LOG_TOKEN, World, text};

/// Every setting that holds a secret.
const SECRETS: [&str; 11] = [
    "DATABASE_URL",
    "DATABASE_DIRECT_URL",
    "NATS_URL",
    "NATS_PASSWORD",
    "NATS_TOKEN",
    "AUTH0_CLIENT_SECRET",
    "LOG_STREAM_TOKEN",
    "LOG_STREAM_TOKEN_OLD",
    "CONSOLE_READ_TOKEN",
    "CONSOLE_OPERATOR_TOKEN",
    "ERASURE_KEY",
];
/// Settings with a similar name that hold no secret.
const NONE: [&str; 3] = ["AUTH0_CLIENT_KEY_ID", "API_KEYS_COOL_DOWN_S", "NATS_TLS"];
const ERASURE_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Names of settings in a help text, each with the rest of its line.
async fn settings(world: &World, arguments: &[&str]) -> BTreeSet<String> {
    let help = world.command(&[arguments, &["--help"]].concat()).await;
    let help = text(&help);
    let names = help
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split(['=', ']']).next());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn m16_every_secret_can_be_in_a_file() {
    let world = World::builder().workers(0).start().await;
    let names = settings(&world, &["serve"]).await;
    for name in &names {
        let looks = ["SECRET", "TOKEN", "PASSWORD", "KEY", "DATABASE", "NATS_URL"];
        let looks = looks.iter().any(|part| name.contains(part));
        if looks && !name.ends_with("_FILE") && !NONE.contains(&name.as_str()) {
            assert!(SECRETS.contains(&name.as_str()), "{name} looks like a secret");
        }
    }
    for secret in SECRETS {
        assert!(names.contains(&format!("{secret}_FILE")), "{secret}_FILE");
    }
    let hidden = SECRETS.map(|secret| (secret, "hunter2"));
    let help = world.command_with(&["serve", "--help"], &hidden).await;
    assert!(help.status.success() && !text(&help).contains("hunter2"));
    for command in ["migrate", "erase", "accept-stream", "brake", "tenant"] {
        let names = settings(&world, &[command]).await;
        let secrets = SECRETS.iter().filter(|secret| names.contains(**secret));
        for secret in secrets {
            assert!(
                names.contains(&format!("{secret}_FILE")),
                "{command}: {secret}_FILE"
            );
        }
    }
}

#[tokio::test]
async fn m16_a_worker_runs_on_files_alone() {
    let world = World::builder().workers(0).start().await;
    let (nats, folder) = (
        server("authorization { token: t0k3n }").await,
        tempfile::tempdir().expect("a folder"),
    );
    let (database, nats_url) = (world.setting("DATABASE_URL"), nats.url());
    let values = [
        ("DATABASE_URL", database.as_str()),
        ("DATABASE_DIRECT_URL", &database),
        ("NATS_URL", &nats_url),
        ("NATS_TOKEN", "t0k3n"),
        ("AUTH0_CLIENT_SECRET", "secret"),
        ("LOG_STREAM_TOKEN", LOG_TOKEN),
        ("LOG_STREAM_TOKEN_OLD", "Bearer another-token-0123456789"),
        ("ERASURE_KEY", ERASURE_KEY),
    ];
    let files =
        values.map(|(name, value)| (format!("{name}_FILE"), file(&folder, name, &format!("{value}\n"))));
    let mut env: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, path)| (name.as_str(), path.as_str()))
        .collect();
    env.extend(values.iter().map(|(name, _)| (*name, "")));
    let migrated = world.command_with(&["migrate"], &env).await;
    assert!(migrated.status.success(), "{}", text(&migrated));
    let worker = world.start_worker_with(&env).await;
    let record = r#"{"log_id":"l1","data":{"type":"fp","log_id":"l1"}}"#;
    for token in [LOG_TOKEN, values[6].1] {
        assert_eq!(worker.post_logs(token, record).await, Some(200), "{token}");
    }
    assert!(!worker.log().contains("t0k3n") && !worker.log().contains("log-stream-token"));
}

#[tokio::test]
async fn m16_a_file_that_is_no_secret_is_told_with_its_path() {
    let world = World::builder().workers(0).start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (empty, missing) = (file(&folder, "empty", "\n"), "/no/such/file".to_owned());
    let good = file(&folder, "good", "hunter2-hunter2-hunter2\n");
    for secret in SECRETS {
        let of_file = format!("{secret}_FILE");
        let user = if secret == "NATS_PASSWORD" { "u" } else { "" };
        let said = async |value: &str, path: &str| {
            let env = [(secret, value), (of_file.as_str(), path), ("NATS_USER", user)];
            let output = world.command_with(&["serve"], &env).await;
            let said = text(&output);
            assert!(!output.status.success() && !said.contains("hunter2"), "{said}");
            said.lines()
                .filter(|line| line.starts_with("  "))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for path in [&empty, &missing] {
            let faults = said("", path).await;
            let named = faults.len() == 1 && faults[0].contains(&of_file) && faults[0].contains(path);
            assert!(named, "{secret}: {faults:?}");
        }
        let faults = said("hunter2-hunter2-hunter2", &good).await;
        let both = format!("{secret}, {of_file}: both are set");
        assert!(
            faults.len() == 1 && faults[0].contains(&both),
            "{secret}: {faults:?}"
        );
        assert!(faults[0].contains("unset the other"), "{faults:?}");
    }
}

#[tokio::test]
async fn m16_an_address_without_tls_is_warned_of_once() {
    let world = World::builder().workers(0).start().await;
    // Another host by its name, and this one by its target.
    let elsewhere = world.setting("DATABASE_URL").replace("127.0.0.1", "0.0.0.0");
    let nats = server("authorization { users: [ {user: u, password: hunter2} ] }").await;
    let nats = nats_with_user(&nats.url());
    let warned = |log: &str, setting: &str| {
        let lines = log
            .lines()
            .filter(|line| line.contains("\"WARN\"") && line.contains(setting));
        lines
            .filter(|line| line.contains("0.0.0.0") && line.contains("in clear"))
            .count()
    };
    let migrated = world.command_with(&["migrate"], &[("NATS_URL", &nats)]).await;
    assert!(migrated.status.success(), "{}", text(&migrated));
    let worker = world
        .start_worker_with(&[("DATABASE_URL", &elsewhere), ("NATS_URL", &nats)])
        .await;
    let log = worker.log();
    assert_eq!(
        (warned(&log, "DATABASE_URL: "), warned(&log, "NATS_URL: ")),
        (1, 1),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
    worker.sigterm(Duration::from_secs(15)).await;
    let direct = world
        .start_worker_with(&[("DATABASE_DIRECT_URL", &elsewhere), ("NATS_URL", &nats)])
        .await;
    assert_eq!(
        warned(&direct.log(), "DATABASE_DIRECT_URL: "),
        1,
        "{}",
        direct.log()
    );
    direct.sigterm(Duration::from_secs(15)).await;
    let quiet = world
        .start_worker_with(&[("NATS_URL", &nats.replace("0.0.0.0", "127.0.0.1"))])
        .await;
    assert_eq!(warned(&quiet.log(), ""), 0);
}

fn nats_with_user(url: &str) -> String {
    url.replace("127.0.0.1", "0.0.0.0")
        .replace("://", "://u:hunter2@")
}
