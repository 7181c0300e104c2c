//! `/displayName`: the user's display name.
//!
//! Owns these routes. Must never call Auth0: a new name is stored as a request, which reconcile writes.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::{Body, User};
use super::state::Api;
use rolekeeper_domain::display_name::DisplayName;

/// The caller's display name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Called {
    /// The newest requested name, or else the name in the profile; null without either.
    display_name: Option<String>,
}

/// A requested display name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewName {
    #[schema(schema_with = super::openapi::display_name)]
    display_name: String,
}

/// The caller's display name.
#[utoipa::path(get, path = "/displayName", operation_id = "getDisplayName", responses(
    (status = 200, description = "The name", body = Called),
))]
pub(super) async fn get(caller: User, State(api): State<Api>) -> Result<Json<Called>, Problem> {
    let user = caller.person(&api).await?;
    let display_name = api.store.display_name(&user).await?;
    Ok(Json(Called { display_name }))
}

/// Requests another display name. It is shown at once, and written to the profile at Auth0 after a short delay.
#[utoipa::path(put, path = "/displayName", operation_id = "requestDisplayName", request_body = NewName, responses(
    (status = 202, description = "The name will be written", body = Called),
))]
pub(super) async fn request(
    caller: User,
    State(api): State<Api>,
    Body(new): Body<NewName>,
) -> Result<(StatusCode, Json<Called>), Problem> {
    let user = caller.person(&api).await?;
    let name =
        DisplayName::parse(new.display_name).map_err(|expected| Problem::invalid("displayName", expected))?;
    api.store.request_display_name(&user, &name).await?;
    let display_name = Some(name.as_str().to_owned());
    Ok((StatusCode::ACCEPTED, Json(Called { display_name })))
}
