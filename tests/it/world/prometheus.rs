//! A real Prometheus that scrapes workers and evaluates the alerts.
//!
//! Owns its process and its configuration. It listens on loopback only, and ends with its folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rolekeeper_sandbox::servers::folder::{self, Folder};
use rolekeeper_sandbox::servers::{Process, free_port};
use serde_json::Value;

use super::{Worker, deployed, poll};

/// Longest time from its start to its first response.
const RESPONDS_WITHIN: Duration = Duration::from_secs(30);

/// A running Prometheus. It scrapes and evaluates each second.
#[derive(Debug)]
pub(crate) struct Prometheus {
    url: String,
    http: reqwest::Client,
    _process: Process,
    _folder: Folder,
}

impl Prometheus {
    /// Starts it with `deploy/prometheus/rules.yml`, and waits until it responds.
    pub(crate) async fn scraping(workers: &[Worker]) -> Self {
        let mut targets = vec![];
        for worker in workers {
            targets.push(worker.address("OPS_LISTEN").await);
        }
        let folder = Folder::new("prometheus").expect("a temporary folder");
        let config = folder.path().join("prometheus.yml");
        fs::write(&config, configuration(&targets)).expect("a file of its configuration");
        let listen = format!("127.0.0.1:{}", free_port().expect("a free port"));
        let mut command = folder.command("prometheus", Path::new("prometheus"), "KILL");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ));
        command.arg(format!("--web.listen-address={listen}"));
        let log = fs::File::create(folder.path().join("log")).expect("a log file");
        command.stderr(log).stdout(std::process::Stdio::null());
        let prometheus = Self {
            url: format!("http://{listen}/api/v1"),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
            _process: folder::spawn(command).expect("sh starts"),
            _folder: folder,
        };
        let first = poll(RESPONDS_WITHIN, async || prometheus.get("/rules").await);
        assert!(first.await.is_some(), "prometheus is needed (Debian: prometheus)");
        prometheus
    }

    /// The series that an expression returns now, without those whose value is no number.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Value> {
        let encoded = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let answer = self.get(&format!("/query?query={encoded}")).await;
        let mut answer = answer.unwrap_or_else(|| panic!("Prometheus refuses {expression}"));
        let series = answer["data"]["result"].take();
        let series = series.as_array().cloned().unwrap_or_default();
        let is_number = |one: &Value| one["value"][1] != "NaN";
        series.into_iter().filter(is_number).collect()
    }

    /// All alerts, with their health.
    pub(crate) async fn rules(&self) -> Vec<Value> {
        let answer = self.get("/rules").await.expect("Prometheus responds");
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        rules.flatten().cloned().collect()
    }

    /// The response; none without one of 200.
    async fn get(&self, path: &str) -> Option<Value> {
        let request = self.http.get(format!("{}{path}", self.url));
        let answer = request.send().await.ok()?.error_for_status().ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }
}

fn configuration(targets: &[String]) -> String {
    let rules = deployed("prometheus/rules.yml");
    format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
         rule_files: [{}]\n\
         scrape_configs:\n  - job_name: rolekeeper\n    static_configs: [{{ targets: {targets:?} }}]\n",
        rules.display()
    )
}
