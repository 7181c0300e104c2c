//! The page of parked users.
//!
//! Owns the key of its pages: the time and the user of the last row.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use time::OffsetDateTime;

use super::filters;
use super::page::{Shell, Trouble, read, show};
use super::state::Console;
use super::viewer::Viewer;
use rolekeeper_domain::date::{of_unix_micros, unix_micros};
use rolekeeper_domain::view::parked::ParkedPage;

/// Users of one page.
const PAGE: i64 = 50;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    user: String,
    /// In microseconds.
    since: Option<i64>,
}

#[derive(Template)]
#[template(path = "parked.html")]
struct Page {
    shell: Shell,
    found: ParkedPage,
    count: i64,
    paged: bool,
    next: Option<String>,
}

pub(super) async fn page(
    Viewer(session): Viewer,
    State(console): State<Console>,
    Query(Asked { user, since }): Query<Asked>,
) -> Result<Response, Trouble> {
    let shell = Shell::new(session, "/console/parked", "Parked users");
    let user = super::text::stored(user);
    let since = since.and_then(of_unix_micros);
    let (found, count) = read(&shell, async {
        let page = console
            .read
            .parked(since.map(|since| (since, user.as_str())), PAGE)
            .await?;
        Ok((page, console.read.parked_users().await?))
    })
    .await?;
    let last = found.users.last().filter(|_| found.more);
    let next = last.map(|last| key(last.parked_at, &last.user_id));
    let page = Page {
        shell,
        next,
        found,
        count,
        paged: since.is_some(),
    };
    Ok(show(StatusCode::OK, &page))
}

fn key(since: OffsetDateTime, user: &str) -> String {
    let user = utf8_percent_encode(user, NON_ALPHANUMERIC);
    format!("since={}&user={user}", unix_micros(since))
}
