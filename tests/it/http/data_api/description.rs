//! The description of the data API: the file in `docs/`, the worker's own, and the findings of schemathesis.
//!
//! Owns the agreement of the three with the code. Must never pass silently without schemathesis: with `CI=true` that is
//! a failure, otherwise the test prints it.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::world::data_api::DataApi;
use crate::world::events::{plays, saved};

/// Longest time schemathesis may take; it was seen to take a third of it.
const BOUND: Duration = Duration::from_mins(2);
const USER: &str = "auth0|a";

#[tokio::test]
async fn the_file_is_what_the_code_says_and_what_is_served() {
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_rolekeeper"))
        .arg("openapi")
        .output();
    let printed = String::from_utf8(printed.expect("the binary runs").stdout).expect("text");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == printed,
        "docs/openapi.json is not what the code says; renew it: cargo run -- openapi >docs/openapi.json"
    );
    let described: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(described["openapi"], "3.1.0");
    let api = DataApi::start().await;
    let served = DataApi::got(api.request(reqwest::Method::GET, "/openapi.json")).await;
    assert_eq!((served.status, served.json()), (200, described));
}

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join(".tools/schemathesis/bin/schemathesis");
    if !program.exists() {
        let missing = format!(
            "the data API was not tested with schemathesis: {} is missing, which `scripts/install.sh test` installs",
            program.display()
        );
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
        writeln!(std::io::stderr(), "{missing}").expect("standard error is open");
        return;
    }
    let api = DataApi::start_in(crate::world::World::builder(), &[("API_REQUESTS_PER_S", "10000")]).await;
    // An editor, so that nothing is hidden behind a 403.
    api.world.seed_user(USER, &[]);
    api.world.publish(&[saved("s", "pl_1", USER)]).await;
    api.world.publish(&plays("p", "pl_1", 0..100)).await;
    let editor = async || api.get(USER, "/me").await.json()["greeting"] == "EDITOR";
    api.world.eventually("the user is an editor", editor).await;
    let folder = tempfile::tempdir().expect("a folder");
    let run = Command::new(&program)
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(root.join("tests/schemathesis.toml"))
        .args(["run", "--no-color", "--url", &api.url])
        .args(["--header", &format!("Authorization: Bearer {}", api.token(USER))])
        .arg(format!("{}/openapi.json", api.url))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BOUND, run).await.expect("it ends in time");
    let output = output.expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let counted = said
        .lines()
        .find(|line| line.contains("generated"))
        .unwrap_or_default();
    assert!(!counted.is_empty(), "it ran no case:\n{said}");
    let series = r#"rolekeeper_api_requests_total{method="POST",route="/songs",status="2xx"}"#;
    assert!(
        api.worker.count(series).await > Some(3),
        "hardly a song was added:\n{said}"
    );
}
