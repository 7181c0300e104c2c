//! `openapi`: prints the description of the data API, without a server.
//!
//! Owns the printing only. Must never differ from the description that a worker with the same genres serves.

use clap::Args;

use super::output;
use crate::config::{DEFAULT_GENRES, genres};
use crate::http::api;

/// Prints the description of the data API.
#[derive(Args, Debug)]
pub(super) struct OpenapiArgs {
    /// Genres that users choose from, separated by commas
    #[arg(long, env = "API_GENRES", default_value = DEFAULT_GENRES)]
    api_genres: String,
}

pub(super) fn run(args: &OpenapiArgs) {
    let text = api::description(&genres(&args.api_genres));
    output::to_stdout(format_args!("{text}"));
}
