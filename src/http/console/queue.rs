//! The page of the work queue.
//!
//! Owns the length of its lists.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::filters;
use super::page::{Shell, Trouble, read, show};
use super::state::Console;
use super::viewer::Viewer;
use rolekeeper_domain::view::queue::Queue;

/// Users whose attempts are next.
const NEXT: i64 = 20;
/// Users of one page.
const PAGE: i64 = 50;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct Page {
    shell: Shell,
    queue: Queue,
    after: String,
}

pub(super) async fn page(
    Viewer(session): Viewer,
    State(console): State<Console>,
    Query(Asked { after }): Query<Asked>,
) -> Result<Response, Trouble> {
    let shell = Shell::new(session, "/console/queue", "Work queue");
    let after = super::text::stored(after);
    let queue = read(&shell, console.read.queue_page(&after, NEXT, PAGE)).await?;
    let page = Page { shell, queue, after };
    Ok(show(StatusCode::OK, &page))
}
