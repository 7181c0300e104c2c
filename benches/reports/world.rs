//! The servers of one measurement, with the rules in force, and a worker that has ended.
//!
//! Owns the rules that the commands propose. Must never leave the worker running: it would take a part of the cores.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rolekeeper_sandbox::servers::folder::Folder;
use rolekeeper_sandbox::servers::{Nats, Postgres};
use rolekeeper_sandbox::tenant::{Client, Tenant, TenantOptions};
use rolekeeper_sandbox::traffic::ROLE;
use rolekeeper_sandbox::worker::{self, Worker};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use crate::commands::PROGRAM;
use crate::postgres;

const DATABASE: &str = "reports";
const CLIENT: &str = "role-changer";
const SECRET: &str = "secret";
const LOG_TOKEN: &str = "log-stream-token-of-the-bench";
/// Room for ten million plays without a trim.
const APP_EVENTS_MIB: &str = "8192";
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const WITHIN: Duration = Duration::from_mins(15);

/// All running parts. On drop, they end in this order.
pub(crate) struct World {
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) url: String,
    rules: Folder,
    _tenant: Tenant,
    pub(crate) nats: Nats,
    _postgres: Postgres,
}

impl World {
    /// Starts the servers, with an empty database.
    pub(crate) async fn start() -> Result<Self> {
        let postgres = postgres::server().await?;
        let nats = Nats::start().await?;
        let tenant = Tenant::start(TenantOptions {
            clients: vec![Client::new(CLIENT, SECRET)],
            ..TenantOptions::default()
        });
        let tenant = tenant.await?;
        let url = postgres.create_database(DATABASE).await?;
        let mut settings =
            worker::settings(&url, &nats.url(), &tenant.base_url(), (CLIENT, SECRET), LOG_TOKEN);
        settings.push(("APP_EVENTS_MAX_MIB", APP_EVENTS_MIB.to_owned()));
        worker::migrate(Path::new(PROGRAM), &settings).await?;
        Ok(Self {
            settings,
            url,
            rules: Folder::new("rules")?,
            _tenant: tenant,
            nats,
            _postgres: postgres,
        })
    }

    /// Lets a worker that decides nothing put the rules in force and fold up to this message.
    pub(crate) async fn folded(&self, last: u64) -> Result<()> {
        let mut settings = self.settings.clone();
        settings.push(("ONLY", "fold".to_owned()));
        let mut worker = Worker::spawn(Path::new(PROGRAM), &settings)?;
        let mut db = PgConnection::connect(&self.url).await?;
        let folded = "SELECT EXISTS (SELECT FROM rules_in_force) AND EXISTS (SELECT FROM stream_cursors WHERE stream = 'APP_EVENTS' AND last_seq >= $1)";
        let deadline = Instant::now() + WITHIN;
        let last = i64::try_from(last)?;
        while !sqlx::query_scalar::<_, bool>(folded)
            .bind(last)
            .fetch_one(&mut db)
            .await?
        {
            worker.still_runs()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "not folded in {WITHIN:?}:\n{}",
                worker.log_tail()
            );
            sleep(POLL_INTERVAL).await;
        }
        worker.stop().await?;
        // Each alone: Postgres runs no VACUUM among other statements.
        for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
            sqlx::raw_sql(statement)
                .execute(&mut db)
                .await
                .context(statement)?;
        }
        Ok(db.close().await?)
    }

    /// A rules file with this threshold; returns its path.
    pub(crate) fn rules(&self, grant_at: i64) -> Result<String> {
        let file = self.rules.path().join("rules.toml");
        let rule = format!("role = \"{ROLE}\"\ngrant_at = {grant_at}\nrevoke_below = {grant_at}\n");
        std::fs::write(&file, format!("version = 1\n[[rule]]\n{rule}"))?;
        Ok(file.display().to_string())
    }
}
