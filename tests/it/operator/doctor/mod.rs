//! `rolekeeper doctor`: a whole system, and one broken part after the other.

mod auth0;
mod nats;
mod postgres;

use std::collections::BTreeMap;

use rolekeeper_sandbox::tenant::{RatePlan, TenantOptions};
use serde_json::Value;

use crate::world::{Worker, World, text};

/// The lines of the output by check and state, and the exit code.
struct Findings {
    texts: BTreeMap<(String, String), String>,
    code: Option<i32>,
}

impl Findings {
    /// The text of a check with this state.
    fn text(&self, check: &str, state: &str) -> &str {
        let text = self.texts.get(&(check.to_owned(), state.to_owned()));
        text.unwrap_or_else(|| panic!("no {state} of {check} in {:?}", self.texts))
    }

    /// The checks with this state.
    fn with(&self, state: &str) -> Vec<&str> {
        let with = self.texts.keys().filter(|(_, has)| has == state);
        with.map(|(check, _)| check.as_str()).collect()
    }
}

/// Runs the checks with other settings.
async fn findings(world: &World, env: &[(&str, &str)]) -> Findings {
    let output = world.command_with(&["doctor", "--json"], env).await;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut texts = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {}", text(&output)));
        let field = |name: &str| line[name].as_str().expect("a text").to_owned();
        texts.insert((field("check"), field("state")), field("text"));
    }
    Findings {
        texts,
        code: output.status.code(),
    }
}

/// The address of a worker's webhook.
async fn webhook(worker: &Worker) -> String {
    format!("http://{}/auth0/logs", worker.address("LISTEN").await)
}

#[tokio::test]
async fn a_whole_system_has_no_fault_and_is_left_as_it_was() {
    let options = TenantOptions {
        plan: RatePlan::FREE,
        ..TenantOptions::default()
    };
    let world = World::builder().tenant(options).start().await;
    let url = webhook(&world.worker()).await;
    let before = world.api_calls();
    let found = findings(&world, &[("WEBHOOK_URL", &url)]).await;
    assert_eq!(found.with("fault"), [""; 0], "{:?}", found.texts);
    assert_eq!((found.with("unchecked"), found.code), (vec![], Some(0)));
    assert!(found.text("postgres.server", "ok").contains("PostgreSQL 1"));
    assert!(found.text("nats.server", "ok").contains("nats-server 2."));
    assert!(found.text("auth0.rate", "ok").contains("calls remain"));
    assert!(
        found
            .text("webhook", "ok")
            .contains("refuses a call without the token")
    );
    let calls = world.api_calls() - before;
    assert!(
        (3..=6).contains(&calls),
        "{calls} calls: three reads, some of them twice"
    );
    assert_eq!(
        world
            .number("SELECT count(*) FROM operator_acts WHERE command <> 'migrate'")
            .await,
        Some(0)
    );
    let plain = world.told(&["doctor", "--webhook-url", &url]).await;
    assert!(plain.contains("ok         postgres.schema"), "{plain}");
}

#[tokio::test]
async fn a_new_database_stays_as_it_was() {
    let world = World::builder().workers(0).start().await;
    let found = findings(&world, &[("LISTEN", "127.0.0.1:1")]).await;
    assert!(found.text("postgres.tenant", "ok").contains("no tenant yet"));
    assert!(
        found
            .text("postgres.rules", "ok")
            .contains("no rules are in force yet")
    );
    assert!(found.text("webhook", "unchecked").contains("--webhook-url"));
    assert_eq!(found.code, Some(1), "{:?}", found.texts);
    for table in [
        "SELECT count(*) FROM tenant",
        "SELECT count(*) FROM rules_in_force",
        "SELECT count(*) FROM workers",
    ] {
        assert_eq!(world.number(table).await, Some(0), "{table}");
    }
}

#[tokio::test]
async fn a_setting_with_a_fault_hides_no_other_check() {
    let world = World::start().await;
    let url = webhook(&world.worker()).await;
    let env = [
        ("WEBHOOK_URL", url.as_str()),
        ("AUTH0_DOMAIN", "a b"),
        ("FOLD_BATCH", "0"),
    ];
    let found = findings(&world, &env).await;
    assert_eq!(found.with("fault"), ["configuration"]);
    assert!(found.text("auth0", "unchecked").contains("see configuration"));
    assert_eq!(
        found.text("postgres.schema", "ok"),
        "the schema is the one of this release"
    );
    assert_eq!(found.code, Some(2));
}

#[tokio::test]
async fn another_service_at_the_address_is_no_webhook() {
    let world = World::start().await;
    let ops = world.worker().address("OPS_LISTEN").await;
    let url = format!("http://{ops}/auth0/logs");
    let found = findings(&world, &[("WEBHOOK_URL", &url)]).await;
    assert!(found.text("webhook", "fault").contains("404 instead of 401"));
    let found = findings(&world, &[("WEBHOOK_URL", "https://127.0.0.1:1/auth0/logs")]).await;
    assert!(found.text("webhook", "fault").contains("check the address"));
}
