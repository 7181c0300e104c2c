//! The data API: reads and writes of the app for the user who is logged in.
//!
//! Owns its routes and their shared parts. The user is always the subject of the access token; roles come from our own
//! records. Must never hold a secret of Auth0, never call Auth0 except for its public keys, and never return data of another
//! user.

mod display_name;
mod genres;
mod me;
mod openapi;
mod playlists;
mod problem;
mod quota;
mod request;
mod songs;
mod state;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth0::{Bearer, Refusal};
use crate::flow::publish::Publish;
use crate::metrics::Metrics;
use crate::store::Store;
use problem::{Code, Problem};
use quota::Quotas;
use state::Api;

/// Path of the description.
const DESCRIPTION: &str = "/openapi.json";

/// Dependencies of the data API.
#[derive(Debug)]
pub struct ApiDeps {
    /// Verifies access tokens.
    pub bearer: Bearer,
    /// The stored data of users.
    pub store: Store,
    /// Publishes events of playlists.
    pub publish: Publish,
    /// Metrics of the process.
    pub metrics: Arc<Metrics>,
    /// Genres that users choose from.
    pub genres: Vec<String>,
    /// Whether tokens need scopes.
    pub scopes: bool,
    /// Requests a user may make in a row.
    pub burst: u32,
    /// Requests per second a user may make continuously.
    pub requests_per_s: f64,
    /// Publishing writes per day a user may make, over all workers.
    pub publishes_per_day: u32,
    /// Whether schema, erasure key and tenant of the database match this worker; no request is served before.
    pub prepared: Arc<AtomicBool>,
}

/// Returns the routes of the data API, and problem details for requests that match no route of the listener.
pub fn routes(deps: ApiDeps) -> Router {
    let (router, description) = described(&deps.genres);
    let refusals = Refusal::ALL.map(Refusal::as_str);
    deps.metrics
        .api
        .create_series(&openapi::routes(&description), &refusals);
    let api = Api {
        bearer: deps.bearer,
        store: deps.store,
        publish: deps.publish,
        metrics: deps.metrics,
        genres: deps.genres.into(),
        scopes: deps.scopes,
        quotas: Arc::new(Quotas::new(deps.burst, deps.requests_per_s, Instant::now())),
        publishes_per_day: deps.publishes_per_day,
        prepared: deps.prepared,
        description: text_of(&description).into(),
    };
    router
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(api.clone(), count))
        .layer(DefaultBodyLimit::max(request::MAX_BODY_BYTES))
        .fallback(no_such_route)
        .with_state(api)
}

/// Returns the served description (OpenAPI 3.1) of an API that offers these genres.
#[must_use]
pub fn description(genres: &[String]) -> String {
    text_of(&described(genres).1)
}

fn described(genres: &[String]) -> (Router<Api>, OpenApi) {
    let (router, description) = OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(songs::list, songs::add))
        .routes(routes!(songs::delete))
        .routes(routes!(playlists::list, playlists::make))
        .routes(routes!(playlists::plays))
        .routes(routes!(playlists::feature))
        .routes(routes!(playlists::delete))
        .routes(routes!(genres::list))
        .routes(routes!(genres::favourite))
        .routes(routes!(genres::secured_favourite))
        .routes(routes!(genres::choose))
        .routes(routes!(display_name::get, display_name::request))
        .routes(routes!(me::me))
        .routes(routes!(serve_description))
        .split_for_parts();
    let description = openapi::with_genres(openapi::with_common_problems(description), genres);
    (router, description)
}

fn text_of(description: &OpenApi) -> String {
    let text = description.to_pretty_json();
    text.expect("a description is made of texts, numbers and lists") + "\n"
}

/// This description.
#[utoipa::path(get, path = DESCRIPTION, operation_id = "getDescription", security(()), responses(
    (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"),
))]
async fn serve_description(State(api): State<Api>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        api.description.to_string(),
    )
}

async fn no_such_route() -> Problem {
    Problem::not_found("this route does not exist")
}

async fn no_such_method() -> Problem {
    let detail = "the route does not support this method; the header Allow lists its methods";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, detail)
}

/// Counts responses, by route, method and kind of response.
async fn count(State(api): State<Api>, path: MatchedPath, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = match *request.method() {
        Method::GET => Some("GET"),
        Method::POST => Some("POST"),
        Method::PUT => Some("PUT"),
        Method::DELETE => Some("DELETE"),
        _ => None,
    };
    let response = if api.prepared.load(Ordering::Relaxed) {
        next.run(request).await
    } else {
        Problem::unavailable("the worker has not yet checked that its database is the right one; retry")
            .into_response()
    };
    let status = response.status();
    if let Some(method) = method.filter(|_| status != StatusCode::METHOD_NOT_ALLOWED) {
        let seconds = begun.elapsed().as_secs_f64();
        api.metrics
            .api
            .answered(path.as_str(), method, status.as_u16(), seconds);
    }
    response
}
