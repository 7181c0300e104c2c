//! The console: pages for operators, on the ops listener.
//!
//! Owns its routes and the headers of its responses. Must never be served without a token, never load anything from another host, and
//! never change anything but by a form of an operator.

mod access;
mod assets;
mod bounds;
mod brakes;
mod changes;
mod counts;
mod events;
mod filters;
mod letters;
mod login;
mod page;
mod parked;
mod pipe;
mod pipe_picture;
mod plot;
mod queue;
mod rules;
mod state;
mod text;
mod user;
mod users;
mod viewer;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use page::{Shell, Trouble};
use state::Console;
pub use state::Parts;
use viewer::Viewer;

/// Everything from this host, no script or style inside a page, no frame around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Returns the routes of the console.
pub fn routes(parts: Parts) -> Router {
    let console = Console::new(parts);
    Router::new()
        .route("/console", get(pipe::page))
        .route("/console/changes", get(changes::page))
        .route("/console/queue", get(queue::page))
        .route("/console/parked", get(parked::page))
        .route("/console/dead-letters", get(letters::page))
        .route("/console/brakes", get(brakes::page))
        .route("/console/brakes/{kind}", post(brakes::act).get(brakes::again))
        .route("/console/rules", get(rules::page))
        .route("/console/users", get(users::page))
        .route("/console/user", get(user::page))
        .route("/console/counts", get(counts::page))
        .route("/console/events", get(events::events))
        .route("/console/sign-in", post(login::sign_in).get(login::again))
        .route("/console/sign-out", post(login::sign_out))
        .route("/console/assets/{name}", get(assets::asset))
        .route("/console/{*rest}", get(unknown))
        .layer(from_fn_with_state(console.clone(), bounds::bounded))
        .layer(map_response(guarded))
        .with_state(console)
}

async fn unknown(Viewer(session): Viewer) -> Response {
    let shell = Shell::new(session, "", "Not possible");
    let why = "The console has no page with this address.";
    Trouble::new(shell, StatusCode::NOT_FOUND, why).into_response()
}

/// Adds the headers of every response.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
