//! The frame of a page: its title, its place, the operator; and the pages about failures.
//!
//! Owns how a template becomes a response, and how long a page waits for Postgres. Must never show an error text of Postgres: the log
//! has it.

use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use tracing::{debug, error};

use super::access::{Rights, Session};
use super::assets;
use super::filters;
use crate::store::StoreError;

/// Longest wait of a page for Postgres.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// The pages in the navigation.
const PLACES: [(&str, &str); 7] = [
    ("/console", "Pipe"),
    ("/console/changes", "Changes"),
    ("/console/queue", "Queue"),
    ("/console/parked", "Parked"),
    ("/console/dead-letters", "Dead letters"),
    ("/console/brakes", "Brakes"),
    ("/console/rules", "Rules"),
];

/// The frame around a page.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    pub(super) title: String,
    /// The path in the navigation.
    pub(super) path: &'static str,
    pub(super) name: String,
    /// Whether the session may act.
    pub(super) acts: bool,
    pub(super) form_key: String,
    /// The navigation: paths and names.
    pub(super) places: [(&'static str, &'static str); 7],
    /// The version of style and script.
    pub(super) version: &'static str,
}

impl Shell {
    pub(super) fn new(session: Session, path: &'static str, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            path,
            name: session.name,
            acts: session.rights == Rights::Act,
            form_key: session.form_key,
            places: PLACES,
            version: assets::version(),
        }
    }
}

/// A page in place of the one that was asked for.
#[derive(Template)]
#[template(path = "trouble.html")]
pub(super) struct Trouble {
    shell: Shell,
    why: String,
    /// The page loads itself again.
    retries: bool,
    #[template(skip)]
    status: StatusCode,
}

impl Trouble {
    pub(super) fn new(mut shell: Shell, status: StatusCode, why: &str) -> Self {
        if status != StatusCode::SERVICE_UNAVAILABLE {
            "Not possible".clone_into(&mut shell.title);
        }
        Self {
            shell,
            why: why.to_owned(),
            retries: status == StatusCode::SERVICE_UNAVAILABLE,
            status,
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        show(self.status, &self)
    }
}

/// Renders a page.
pub(super) fn show(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(why) => {
            error!("the console cannot make a page: {why}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Waits for the data of a page.
pub(super) async fn read<T>(
    shell: &Shell,
    from: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Trouble> {
    let away = |why: String| Trouble::new(shell.clone(), StatusCode::SERVICE_UNAVAILABLE, &why);
    match tokio::time::timeout(READ_WITHIN, from).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(why)) => {
            debug!("the console cannot read: {why}");
            Err(away(why.shown()))
        }
        Err(_) => Err(away(format!(
            "Postgres did not respond within {} s.",
            READ_WITHIN.as_secs()
        ))),
    }
}
