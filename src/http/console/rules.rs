//! The page of the rules in force and their history.
//!
//! Owns the length of the history.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::filters;
use super::page::{Shell, Trouble, read, show};
use super::state::Console;
use super::viewer::Viewer;
use rolekeeper_domain::view::rules::RulesShown;

/// Activations of one page.
const PAGE: i64 = 20;

#[derive(Deserialize)]
pub(super) struct Asked {
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "rules.html")]
struct Page {
    shell: Shell,
    rules: RulesShown,
    paged: bool,
}

pub(super) async fn page(
    Viewer(session): Viewer,
    State(console): State<Console>,
    Query(Asked { before }): Query<Asked>,
) -> Result<Response, Trouble> {
    let shell = Shell::new(session, "/console/rules", "Rules");
    let rules = read(&shell, console.read.rules_shown(before.unwrap_or(i64::MAX), PAGE)).await?;
    let page = Page {
        shell,
        rules,
        paged: before.is_some(),
    };
    Ok(show(StatusCode::OK, &page))
}
