//! The search for a user by id, or by the beginning of one.
//!
//! Owns that a whole id leads to the page of the user.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::filters;
use super::page::{Shell, Trouble, read, show};
use super::state::Console;
use super::viewer::Viewer;
use rolekeeper_domain::ids::UserId;

/// Ids of one page.
const PAGE: usize = 50;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "users.html")]
struct Page {
    shell: Shell,
    asked: String,
    fault: Option<String>,
    users: Vec<String>,
    next: Option<String>,
}

pub(super) async fn page(
    Viewer(session): Viewer,
    State(console): State<Console>,
    Query(Asked { q, after }): Query<Asked>,
) -> Result<Response, Trouble> {
    let mut page = Page {
        shell: Shell::new(session, "", "Users"),
        asked: q.trim().to_owned(),
        fault: None,
        users: vec![],
        next: None,
    };
    if page.asked.is_empty() {
        return Ok(show(StatusCode::OK, &page));
    }
    if let Err(expected) = UserId::parse(page.asked.as_str()) {
        page.fault = Some(format!("User id: {expected}."));
        return Ok(show(StatusCode::BAD_REQUEST, &page));
    }
    let after = super::text::stored(after);
    let most = i64::try_from(PAGE).unwrap_or(i64::MAX) + 1;
    let found = read(&page.shell, console.read.users_like(&page.asked, &after, most)).await?;
    if found.first() == Some(&page.asked) {
        let id = utf8_percent_encode(&page.asked, NON_ALPHANUMERIC);
        return Ok(Redirect::to(&format!("/console/user?id={id}")).into_response());
    }
    page.users = found;
    if page.users.len() > PAGE {
        page.users.truncate(PAGE);
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let last = page.users.last().map(|last| encoded(last));
        page.next = last.map(|last| format!("q={}&after={last}", encoded(&page.asked)));
    }
    Ok(show(StatusCode::OK, &page))
}
