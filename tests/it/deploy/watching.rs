//! The dashboard and the alerts, in a real Prometheus that scrapes running workers.
//!
//! Owns the list of expressions that a worker without a fault returns nothing for.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::data_api::DataApi;
use crate::world::events::poison;
use crate::world::prometheus::Prometheus;
use crate::world::{LOG_TOKEN, World, poll};

/// Beginnings of expressions that return a series with a fault only, and the fault of the story that makes it appear.
const WITH_A_FAULT: [(&str, &str); 1] = [(
    "count by (alertname) (ALERTS{",
    "a message that is not JSON: RolekeeperDeadLetters fires",
)];
/// Scrapes of a second each, a rate over two of them, and the streams' room, which is measured every 15 seconds.
const SHOWN_WITHIN: Duration = Duration::from_mins(1);

/// The expressions of the dashboard, with the variables filled in as Grafana does.
fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(include_str!("../../../deploy/grafana/rolekeeper.json"))
        .expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array());
    let expressions = targets.flatten().map(|target| {
        let expression = target["expr"].as_str().expect("an expression");
        let expression = expression.replace("$__rate_interval", "1m");
        expression.replace("$job", ".*")
    });
    expressions.collect()
}

fn needs_a_fault(expression: &str) -> bool {
    WITH_A_FAULT
        .iter()
        .any(|(begin, _)| expression.starts_with(begin))
}

/// The expressions for which Prometheus returns no series.
async fn without_series(prometheus: &Prometheus, expressions: &[String]) -> Vec<String> {
    let mut missing = vec![];
    for expression in expressions {
        if prometheus.query(expression).await.is_empty() {
            missing.push(expression.clone());
        }
    }
    missing
}

/// Some traffic of each kind: plays that earn a role, a record of the tenant's log, a request of the data API.
async fn traffic(api: &DataApi, n: u32) {
    let user = format!("auth0|u{n}");
    api.world.seed_user(&user, &[]);
    api.world.earn(&user, &format!("pl_{n}")).await;
    let record =
        json!({"type": "s", "log_id": format!("l{n}"), "user_id": user, "date": "2026-11-23T10:00:00Z"});
    let posted = api.worker.post_logs(LOG_TOKEN, record.to_string()).await;
    assert_eq!(posted, Some(200));
    api.ask(Method::GET, "/me", &api.token(&user), None).await;
    api.world.settled().await;
}

#[tokio::test]
async fn every_expression_of_the_dashboard_returns_a_series() {
    let api = DataApi::start().await;
    let prometheus = Prometheus::scraping(&api.world.workers()).await;
    let scraped = async || !prometheus.query("rolekeeper_build_info").await.is_empty();
    api.world.eventually("the workers are scraped", scraped).await;
    let (with_fault, healthy): (Vec<_>, Vec<_>) =
        expressions().into_iter().partition(|one| needs_a_fault(one));
    assert!(healthy.len() > 40, "the dashboard was not read");
    let (mut n, mut missing) = (0, vec![]);
    let shown = poll(SHOWN_WITHIN, async || {
        n += 1;
        traffic(&api, n).await;
        missing = without_series(&prometheus, &healthy).await;
        missing.is_empty().then_some(())
    });
    assert!(shown.await.is_some(), "no series: {missing:#?}");
    assert_eq!(without_series(&prometheus, &with_fault).await, with_fault);

    api.world
        .publish(&[poison("bad", "pl_1", "no json", "not_json")])
        .await;
    let shown = async || without_series(&prometheus, &with_fault).await.is_empty();
    api.world.eventually("the fault is shown", shown).await;
    let rules = prometheus.rules().await;
    let bad: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
    assert!(rules.len() > 30 && bad.is_empty(), "{bad:#?}");
}

#[tokio::test]
async fn postgres_accepts_the_statements_of_the_runbooks() {
    let world = World::builder().workers(0).start().await;
    let mut seen = 0;
    for (runbook, text) in super::runbooks() {
        for statement in text.split("psql \"$DATABASE_URL\" -c \"").skip(1) {
            let statement = statement.split_once('"').expect("it is closed").0;
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN {statement}"));
            let done = sqlx::raw_sql(explain).execute(&world.db).await;
            assert!(done.is_ok(), "{runbook}: {statement}: {done:?}");
            seen += 1;
        }
    }
    assert!(seen > 5, "the runbooks were not read");
}
