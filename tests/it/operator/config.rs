//! Wrong settings, and servers that are not there yet.

use std::io::Write as _;
use std::process::Output;
use std::time::Duration;

use crate::world::proxy::Proxy;
use crate::world::{World, text};

/// Valid settings, of servers that are not there.
const GOOD: [(&str, &str); 8] = [
    ("DATABASE_URL", "postgres://postgres:hunter2@127.0.0.1:9/none"),
    ("NATS_URL", "nats://127.0.0.1:9"),
    ("AUTH0_DOMAIN", "music.eu.auth0.com"),
    ("AUTH0_CLIENT_ID", "client"),
    ("AUTH0_CLIENT_SECRET", "hunter2-client-secret"),
    ("LOG_STREAM_TOKEN", "hunter2-log-stream-token"),
    ("LISTEN", "127.0.0.1:0"),
    ("OPS_LISTEN", "127.0.0.1:0"),
];
/// Setting, its wrong value, and a part of the expected fault.
const WRONG: [(&str, &str, &str); 49] = [
    ("DATABASE_URL", "", "postgres://user:password@host:port/database"),
    (
        "DATABASE_URL",
        "mysql://u:hunter2@h/db",
        "postgres://user:password@host:port/database",
    ),
    (
        "DATABASE_URL",
        "postgres://u:hunter2@h:port/db",
        "postgres://user:password@host:port/database",
    ),
    (
        "DATABASE_DIRECT_URL",
        "hunter2",
        "postgres://user:password@host:port/database",
    ),
    ("NATS_URL", "", "nats://host:port"),
    ("NATS_URL", "http://u:hunter2@h", "nats://host:port"),
    ("NATS_URL", "nats://u:hunter2@h:port", "nats://host:port"),
    ("NATS_URL", "nats://a:4222,hunter2:port", "nats://host:port"),
    ("NATS_CREDENTIALS_FILE", "/no/such/file", "a credentials file"),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "hunter2:4318",
        "an http:// or https:// URL",
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "grpc://u:hunter2@h",
        "an http:// or https:// URL",
    ),
    ("AUTH0_DOMAIN", "", "a domain such as music.eu.auth0.com"),
    (
        "AUTH0_DOMAIN",
        "http://music.eu.auth0.com",
        "a domain such as music.eu.auth0.com",
    ),
    (
        "AUTH0_DOMAIN",
        "music.eu.auth0.com/api/v2",
        "a domain such as music.eu.auth0.com",
    ),
    (
        "AUTH0_DOMAIN",
        "user:hunter2@music.eu.auth0.com",
        "a domain such as music.eu.auth0.com",
    ),
    ("AUTH0_DOMAIN", "mu sic", "a domain such as music.eu.auth0.com"),
    ("AUTH0_CLIENT_ID", " ", "the client id"),
    ("AUTH0_CLIENT_SECRET", "", "exactly one of them"),
    (
        "AUTH0_CLIENT_KEY_ID",
        "kid",
        "only together with AUTH0_CLIENT_KEY_FILE",
    ),
    ("AUTH0_CLIENT_KEY_FILE", "/no/such/file", "exactly one of them"),
    ("AUTH0_CA_FILE", "/no/such/file", "certificate authorities"),
    ("AUTH0_WRITES", "maybe", "one of on, off"),
    (
        "AUTH0_PLAN",
        "gold",
        "free, self-service (also essentials, professional)",
    ),
    ("AUTH0_PLAN", "1:1", "BURST:PER_SECOND"),
    (
        "AUTH0_PLAN",
        "100001:800",
        "BURST from 2 to 100000, PER_SECOND from 0.1 to 10000",
    ),
    ("AUTH0_RESERVE", "NaN", "a number from 0 to 0.9"),
    ("AUTH0_RESERVE", "1", "a number from 0 to 0.9"),
    ("AUTH0_TIMEOUT_S", "0", "a number from 1 to 120"),
    ("LOG_STREAM_TOKEN", "", "16 characters or more"),
    ("LOG_STREAM_TOKEN", "hunter2", "16 characters or more"),
    ("LOG_STREAM_TOKEN_OLD", "hunter2", "16 characters or more"),
    ("CONSOLE_READ_TOKEN", "hunter2", "16 characters or more"),
    ("CONSOLE_OPERATOR_TOKEN", "hunter2-2", "16 characters or more"),
    ("LISTEN", "nowhere", "an address such as"),
    ("OPS_LISTEN", "127.0.0.1", "an address such as"),
    ("DEFAULT_DISPLAY_NAME", "user\u{1b}[31m", "1 to 100 characters"),
    ("FOLD_BATCH", "0", "a number from 1 to 50000"),
    ("FOLD_BATCH", "ten\u{1b}[31m", "a number from 1 to 50000"),
    (
        "DEDUP_WINDOW",
        "1s",
        "`off`, or a time from 4s to 90days such as 24h",
    ),
    (
        "DEDUP_WINDOW",
        "soon",
        "`off`, or a time from 4s to 90days such as 24h",
    ),
    ("LOG_GAP_FILLER", "yes", "one of on, off"),
    ("LOG_GAP_FILLER_START", "latest", "newest, oldest, or the log_id"),
    ("LOG_GAP_FILLER_DELAY_S", "0", "a number from 1 to 3600"),
    ("LOG_STREAM_SILENT_AFTER_S", "never", "a number from 0 to 2592000"),
    ("SWEEP_INTERVAL_S", "-1", "a number from 1 to 86400"),
    ("VERIFY_AFTER_H", "1e3", "a number from 1 to 8760"),
    ("GRACE_PERIOD_S", "601", "a number from 1 to 600"),
    ("ONLY", "http,everything", "http,fold,reconcile"),
    ("ONLY", ",", "http,fold,reconcile"),
];

/// Starts a worker with wrong settings; it must end by itself.
async fn serve(wrong: &[(&str, &str)]) -> Output {
    run(&["serve"], wrong).await
}

async fn run(arguments: &[&str], wrong: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_rolekeeper"));
    command
        .args(arguments)
        .env_clear()
        .envs(GOOD)
        .envs(wrong.iter().copied());
    let output = tokio::time::timeout(Duration::from_secs(20), command.kill_on_drop(true).output());
    let output = output.await.unwrap_or_else(|_| panic!("{wrong:?}: it runs"));
    output.expect("the binary runs")
}

/// The lines that name faults. The worker has started nothing, and shows no secret.
fn faults(output: &Output) -> Vec<String> {
    let said = text(output);
    assert!(
        !output.status.success() && !output.status.to_string().contains("signal"),
        "{said}"
    );
    assert!(
        !said.contains("listening") && !said.contains("hunter2") && !said.contains('\u{1b}'),
        "{said}"
    );
    let lines = said.lines().filter_map(|line| line.strip_prefix("  "));
    lines.map(str::to_owned).collect()
}

/// Returns true if the line is about the setting; some lines are about two contradicting settings.
fn names(line: &str, setting: &str) -> bool {
    let about = line.split_once(": ").map(|(about, _)| about).unwrap_or_default();
    about.split(", ").any(|name| name == setting)
}

#[tokio::test]
async fn each_fault_is_one_line_with_setting_and_value() {
    for (setting, value, expected) in WRONG {
        let faults = faults(&serve(&[(setting, value)]).await);
        let [line] = &faults[..] else {
            panic!("{setting}={value:?}: {faults:?}")
        };
        assert!(names(line, setting), "{setting}={value:?}: {line}");
        let told = line
            .split_once(", expected ")
            .map(|(_, told)| told)
            .unwrap_or_default();
        assert!(told.contains(expected), "{setting}={value:?}: {line}");
        let shown = value.trim().is_empty()
            || value.contains("hunter2")
            || line.contains(": both are set")
            || line.contains(&value[..3.min(value.len())]);
        assert!(shown, "{setting}={value:?}: {line}");
    }
}

#[tokio::test]
async fn all_faults_are_shown_at_once() {
    let mut wrong: Vec<(&str, &str)> = vec![];
    for (setting, value, _) in WRONG {
        // Without stages there is nothing more to check, and with a key no secret is missing.
        let last = wrong.last().is_none_or(|(last, _)| *last != setting);
        if last && setting != "ONLY" && !setting.starts_with("AUTH0_CLIENT_KEY") {
            wrong.push((setting, value));
        }
    }
    let faults = faults(&serve(&wrong).await);
    for (setting, _) in &wrong {
        let times = faults.iter().filter(|line| names(line, setting)).count();
        assert_eq!(times, 1, "{setting} in {faults:#?}");
    }
    assert_eq!(faults.len(), wrong.len(), "{faults:#?}");
}

#[tokio::test]
async fn every_fault_of_a_rules_file_is_named_with_its_place() {
    let table = [
        ("", "0 [[rule]] in the file"),
        (
            "[[rule]]\nrole = \"a\"\ngrant_at = 10\nrevoke_below = 20",
            "grant_at (10) is below revoke_below (20)",
        ),
        (
            "[[rule]]\nrole = \"a\"\ngrant_at = -1\nrevoke_below = -1",
            "revoke_below: expected at least 1, got -1",
        ),
        (
            "[[rule]]\nrole = \"\"\ngrant_at = 1\nrevoke_below = 1",
            "rule 1 (role \"\"): role: expected 1 to 128",
        ),
        ("[[rule]]\nrole = \"a\"\ngrant_at = 1", "revoke_below"),
        (
            "[[rule]]\nrole = \"a\"\ngrant_at = \"many\"\nrevoke_below = 1",
            "line 3",
        ),
        (
            "[[rule]]\nrole = \"a\"\ngrant_at = 1\nrevoke_below = 1\nsurprise = 1",
            "surprise",
        ),
        (
            "[[rule]]\nrole = \"a\"\ngrant_at = 1\nrevoke_below = 1\n[[rule]]\nrole = \"a\"\ngrant_at = 2\nrevoke_below = 1",
            "another rule has the same role",
        ),
        ("[[rule", "line 1"),
        ("version = 0", "version: expected 1 or more"),
        ("format = 9\nshade = 1", "format 9: this release"),
    ];
    for (rules, says) in table {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(rules.as_bytes()).expect("a file");
        let path = file.path().to_str().expect("UTF-8");
        let output = run(&["rules", "apply", path], &[]).await;
        let said = text(&output);
        assert!(!output.status.success(), "{rules}: {said}");
        assert!(said.contains(path) && said.contains(says), "{rules}: {said}");
    }
}

#[tokio::test]
async fn log_settings_and_ports_in_use_are_named_too() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound").to_string();
    for (setting, value) in [
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "=,="),
        ("LISTEN", &*taken),
        ("OPS_LISTEN", &*taken),
    ] {
        let output = serve(&[(setting, value)]).await;
        let said = text(&output);
        assert!(
            !output.status.success() && said.contains(&format!("{setting}: ")),
            "{said}"
        );
        assert!(said.contains(value) && !said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_missing_or_newer_schema_is_refused_with_the_way_out() {
    let world = World::builder().workers(0).start().await;
    let emptied = sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    emptied.execute(&world.db).await.expect("Postgres responds");
    let refused = async |says: &str| {
        let worker = world.spawn_worker_with(&[]);
        let ended = worker.wait(Duration::from_secs(20)).await;
        assert!(
            !ended.success() && worker.log().contains(says),
            "{}",
            worker.log_tail(20)
        );
        assert!(!worker.log().contains("folding from") && !worker.log().contains("\"reconciling\""));
    };
    refused("run `rolekeeper migrate`").await;
    for _ in 0..2 {
        let output = world.command(&["migrate"]).await;
        assert!(output.status.success(), "{}", text(&output));
    }
    world.start_worker().await.sigterm(Duration::from_secs(15)).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (20991231000001, 'from the future', true, '', 0)";
    sqlx::query(newer)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    refused("use a newer binary").await;
    assert!(!world.command(&["migrate"]).await.status.success());
}

/// Starts a worker while a server is away: it tries `often`, reports that once, and works when the server is there.
async fn waits_for(world: World, what: &str, often: usize, proxy: impl Fn(&World) -> &Proxy) {
    proxy(&world).refuse();
    let before = proxy(&world).refused();
    world.seed_user("auth0|ann", &[]);
    let worker = world.spawn_worker_with(&[]);
    world
        .eventually("it has tried that often", async || {
            proxy(&world).refused() - before >= often
        })
        .await;
    let status = async |path: &str| worker.get(path).await.map(|(status, _)| status);
    assert_eq!(
        (status("/healthz").await, status("/readyz").await),
        (Some(200), Some(503))
    );
    let stages = worker
        .get("/readyz")
        .await
        .map(|(_, text)| text)
        .unwrap_or_default();
    for stage in ["fold_app_events", "fold_auth0_logs"] {
        assert!(stages.contains(&format!("{stage}: not ready: ")), "{stages}");
    }
    let said = |worker: &crate::world::Worker| {
        let log = worker.log();
        let loud = log
            .lines()
            .filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\""));
        loud.map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = said(&worker);
    // Two folds and the start each wait separately, and each reports it once.
    assert!((1..=3).contains(&lines.len()), "{lines:#?}");
    assert!(
        lines
            .iter()
            .all(|line| line.contains("retrying") && line.contains(what)),
        "{lines:#?}"
    );
    proxy(&world).restore();
    world
        .eventually("it is ready", async || worker.is_ready().await)
        .await;
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    assert_eq!((world.patches(), said(&worker).len()), (1, lines.len()));
}

#[tokio::test]
async fn a_start_without_postgres_waits_for_it() {
    let world = World::builder().workers(0).postgres_proxy().start().await;
    waits_for(world, "Postgres", 5, World::postgres_proxy).await;
}

#[tokio::test]
async fn a_start_without_nats_waits_for_it() {
    let world = World::builder().workers(0).nats_proxy().start().await;
    // Each of three connections every quarter of a second, and every five seconds a stage that needs one.
    waits_for(world, "JetStream", 150, World::nats_proxy).await;
}

#[tokio::test]
async fn the_data_api_needs_the_domain_and_no_secret() {
    let faults = |env: &[(&str, &str)]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rolekeeper"));
        command.args(["serve"]).env_clear().envs(env.iter().copied());
        command
            .env("ONLY", "http")
            .env("API_AUDIENCE", "https://api.example");
        let output = command.output().expect("the binary runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = faults(&[]);
    assert!(text.contains("AUTH0_DOMAIN: not set"), "{text}");
    assert!(!text.contains("AUTH0_CLIENT") && !text.contains("API_"), "{text}");
    let text = faults(&[
        ("API_ISSUER", "login.example.com"),
        ("API_GENRES", "a,,b"),
        ("API_BURST", "0"),
        ("API_REQUESTS_PER_S", "NaN"),
        ("API_KEYS_COOL_DOWN_S", "0"),
    ]);
    for setting in [
        "API_ISSUER",
        "API_GENRES",
        "API_BURST",
        "API_REQUESTS_PER_S",
        "API_KEYS_COOL_DOWN_S",
    ] {
        assert!(text.contains(&format!("{setting}: got")), "{setting}: {text}");
    }
}
