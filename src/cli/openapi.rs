//! `openapi`: prints the description of the data API, without a server.
//!
//! Owns the printing only. Must never differ from the description that a worker with the same genres serves.

use std::io::Write as _;

use anyhow::Result;
use clap::Args;

use crate::config::{DEFAULT_GENRES, genres};
use crate::http::api;

/// Prints the description of the data API.
#[derive(Args, Debug)]
pub(super) struct OpenapiArgs {
    /// Genres that users choose from, separated by commas
    #[arg(long, env = "API_GENRES", default_value = DEFAULT_GENRES)]
    api_genres: String,
}

pub(super) fn run(args: &OpenapiArgs) -> Result<()> {
    let text = api::description(&genres(&args.api_genres));
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
