//! A second server that copies and follows a first one, and can be promoted.
//!
//! Owns the copy and its settings. Must never change how durable a server is: the caller of [`Postgres::replica_of`] says
//! whether commits wait for it.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};

use super::{Postgres, log_file, tail};
use crate::servers::folder;

/// Longest time for the copy.
const COPY_WITHIN: Duration = Duration::from_mins(2);
/// Name of its folder, and under which it follows.
const NAME: &str = "replica";

impl Postgres {
    /// Copies a running server, follows it through this port on loopback, and returns when it responds to reads.
    pub async fn replica_of(port: u16) -> anyhow::Result<Self> {
        let mut replica = Self::without_data(NAME)?;
        replica.copy(port).await?;
        replica.start_on_a_free_port().await?;
        Ok(replica)
    }

    async fn copy(&self, port: u16) -> anyhow::Result<()> {
        let log = self.folder()?.path().join("copy.log");
        let mut command = self.command("pg_basebackup", "pg_basebackup")?;
        let from = format!("host=127.0.0.1 port={port} user=postgres application_name={NAME}");
        command.args([
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
            "--dbname",
            &from,
        ]);
        command.arg("--pgdata").arg(&self.data);
        command.stdout(log_file(&log)?).stderr(log_file(&log)?);
        let status = folder::spawn(command)?.wait(COPY_WITHIN).await?;
        anyhow::ensure!(status.success(), "pg_basebackup failed:\n{}", tail(&log, 20));
        Ok(())
    }

    /// From now on a commit of this server waits until its replica has stored it.
    pub async fn wait_for_replica(&self) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        for statement in [
            "ALTER SYSTEM SET synchronous_standby_names = 'replica'",
            "SELECT pg_reload_conf()",
        ] {
            sqlx::raw_sql(statement).execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }

    /// Makes a replica a primary, and returns when it accepts writes.
    pub async fn promote(&self) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        let promoted = sqlx::query_scalar::<_, bool>("SELECT pg_promote()");
        let promoted = promoted.fetch_one(&mut connection).await;
        anyhow::ensure!(
            promoted.context("cannot promote the replica")?,
            "the replica was not promoted"
        );
        Ok(connection.close().await?)
    }
}
