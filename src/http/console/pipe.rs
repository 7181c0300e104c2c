//! The page of the pipe.
//!
//! Owns its table. Needs neither Postgres nor NATS: it shows the last reading, and what does not respond.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::filters;
use super::page::{Shell, show};
use super::pipe_picture::{Picture, pictures};
use super::state::Console;
use super::viewer::Viewer;
use rolekeeper_domain::view::figures::{rate, span};
use rolekeeper_domain::view::pipe::{Pipe, Stage};

#[derive(Template)]
#[template(path = "pipe.html")]
struct Page {
    shell: Shell,
    pipe: Option<Arc<Pipe>>,
    pictures: Vec<Picture>,
    rows: Vec<Row>,
}

/// A stage in the table.
struct Row {
    name: &'static str,
    rate: String,
    lag: String,
    age: String,
    about: &'static str,
}

pub(super) async fn page(Viewer(session): Viewer, State(console): State<Console>) -> Response {
    let pipe = console.pipe.borrow().clone();
    let page = Page {
        shell: Shell::new(session, "/console", "Pipe"),
        pictures: pipe.as_deref().map(pictures).unwrap_or_default(),
        rows: pipe
            .as_deref()
            .map(|pipe| pipe.stages.iter().map(row).collect())
            .unwrap_or_default(),
        pipe,
    };
    show(StatusCode::OK, &page)
}

fn row(stage: &Stage) -> Row {
    Row {
        name: stage.place.name(),
        rate: rate(stage.per_s),
        lag: stage.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
        age: stage.age_s.map_or_else(|| "-".to_owned(), span),
        about: stage.place.about_age(),
    }
}
