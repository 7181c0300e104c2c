//! The page of dead letters.
//!
//! Owns its filter and the key of its pages.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::filters;
use super::page::{Shell, Trouble, read, show};
use super::state::Console;
use super::viewer::Viewer;
use crate::flow::letters;
use crate::store::LetterFilter;
use rolekeeper_domain::event::Reason;
use rolekeeper_domain::view::letters::LetterPage;

/// Letters of one page.
const PAGE: u32 = 50;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    stream: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "letters.html")]
struct Page {
    shell: Shell,
    found: LetterPage,
    filtered: bool,
    paged: bool,
    next: Option<String>,
}

pub(super) async fn page(
    Viewer(session): Viewer,
    State(console): State<Console>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let shell = Shell::new(session, "/console/dead-letters", "Dead letters");
    let after = letters::key(&asked.after);
    // Other values find nothing; they are ignored.
    let reason = Reason::ALL
        .map(Reason::as_str)
        .into_iter()
        .find(|known| *known == asked.reason);
    let stream = letters::stream(&asked.stream);
    let filter = LetterFilter {
        stream: stream.map(str::to_owned),
        reason: reason.map(str::to_owned),
        ..LetterFilter::default()
    };
    let found = read(
        &shell,
        letters::page(&console.read, &filter, after.as_ref(), PAGE),
    )
    .await?;
    let last = found.letters.last().filter(|_| found.more);
    let next = last.map(|last| {
        let (stream, reason) = (stream.unwrap_or_default(), reason.unwrap_or_default());
        format!("stream={stream}&reason={reason}&after={}", last.key)
    });
    let page = Page {
        shell,
        next,
        found,
        filtered: stream.is_some() || reason.is_some(),
        paged: after.is_some(),
    };
    Ok(show(StatusCode::OK, &page))
}
