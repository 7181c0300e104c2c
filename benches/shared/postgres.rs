//! The Postgres of a measurement.
//!
//! Owns its settings: durability keeps the defaults; only memory and the distance of checkpoints are set, as an operator does.

use anyhow::Result;
use rolekeeper_sandbox::servers::{Postgres, PostgresStop};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Returns a Postgres with the memory settings of a small dedicated server.
pub(crate) async fn server() -> Result<Postgres> {
    let mut postgres = Postgres::start().await?;
    let mut admin = PgConnection::connect(&postgres.url("postgres")).await?;
    for setting in ["shared_buffers = '1GB'", "max_wal_size = '4GB'"] {
        let sql = format!("ALTER SYSTEM SET {setting}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
    }
    admin.close().await?;
    postgres.stop(PostgresStop::Fast).await?;
    postgres.start_again().await?;
    Ok(postgres)
}
