//! The page of one user: the explanation, as `rolekeeper explain --json` has it.
//!
//! Owns the answers that are no explanation: an unknown and an erased user. Must never call Auth0.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::filters;
use super::page::{Shell, Trouble, read, show};
use super::state::Console;
use super::text::visible;
use super::viewer::Viewer;
use crate::store::Explained;
use rolekeeper_domain::explanation::{Explanation, unknown};
use rolekeeper_domain::ids::UserId;

/// Most decisions and most writes.
const MOST: i64 = 20;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    id: String,
}

#[derive(Template)]
#[template(path = "user.html")]
struct Page {
    shell: Shell,
    user: Explanation,
    most: i64,
}

pub(super) async fn page(
    Viewer(session): Viewer,
    State(console): State<Console>,
    Query(Asked { id }): Query<Asked>,
) -> Result<Response, Trouble> {
    let shell = Shell::new(session, "", "User");
    if let Err(expected) = UserId::parse(id.as_str()) {
        let why = format!("User id \"{}\": {expected}.", visible(&id));
        return Err(Trouble::new(shell, StatusCode::BAD_REQUEST, &why));
    }
    let why = match read(&shell, console.read.explain(&id, MOST)).await? {
        Explained::Known(stored) => {
            let user = Explanation::of(*stored, &console.forbidden);
            let page = Page {
                shell,
                user,
                most: MOST,
            };
            return Ok(show(StatusCode::OK, &page));
        }
        Explained::Erased => format!(
            "{}: the user was erased, so no data is stored and rolekeeper never changes the user's roles; `rolekeeper readmit` ends that.",
            visible(&id)
        ),
        Explained::Unknown {
            maybe_erased,
            counted_to,
        } => unknown(&visible(&id), maybe_erased, counted_to) + ".",
    };
    Err(Trouble::new(shell, StatusCode::NOT_FOUND, &why))
}
