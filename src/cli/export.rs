//! `rolekeeper export`: prints all stored data about a user, for a request to see it.
//!
//! Owns the format: one JSON object on standard output. Must never change anything.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::ask::id;
use super::output::{remark, say};
use crate::app;
use crate::config::DatabaseArgs;

/// Prints one JSON object: `user_id`, and `tables` with all rows that name the user. Exit code 1 when nothing is stored.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Auth0 user id, such as `auth0|6132829445244d0069782a78`
    #[arg(value_name = "USER_ID")]
    user: String,
}

pub(super) async fn run(args: ExportArgs) -> Result<ExitCode> {
    let ExportArgs { database, user } = args;
    let database = database.checked()?;
    id(&user)?;
    let tables = app::connect(&database).await?.export(&user).await?;
    if tables.is_empty() {
        remark!("{user}: nothing is kept");
        return Ok(ExitCode::FAILURE);
    }
    let shown = serde_json::to_string_pretty(&json!({"user_id": user, "tables": tables}))?;
    say!("{shown}");
    Ok(ExitCode::SUCCESS)
}
