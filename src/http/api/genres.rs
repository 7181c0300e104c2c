//! `/genres`: the offered genres, and the caller's favourite.
//!
//! Owns these routes. Must never store a genre that is not offered.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::{Body, User};
use super::state::Api;
use super::text::Plain;

/// The caller's choice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FavouriteGenre {
    /// One of the genres that `GET /genres` lists.
    genre: String,
}

/// The offered genres.
#[utoipa::path(get, path = "/genres", operation_id = "listGenres", responses(
    (status = 200, description = "The names of the genres", body = [String]),
))]
pub(super) async fn list(_: User, State(api): State<Api>) -> Json<Vec<String>> {
    Json(api.genres.to_vec())
}

/// The caller's favourite genre, as plain text; empty before the first choice.
#[utoipa::path(get, path = "/genres/getFav", operation_id = "getFav", responses(
    (status = 200, description = "The genre's name, or an empty text", body = String, content_type = "text/plain"),
))]
pub(super) async fn favourite(caller: User, State(api): State<Api>) -> Result<Plain, Problem> {
    let user = caller.person(&api).await?;
    Ok(Plain(api.store.favourite_genre(&user).await?.unwrap_or_default()))
}

/// The same as `GET /genres/getFav`, under its other name in the old backend.
#[utoipa::path(get, path = "/secured/getFavGenre", operation_id = "getFavGenre", responses(
    (status = 200, description = "The genre's name, or an empty text", body = String, content_type = "text/plain"),
))]
pub(super) async fn secured_favourite(user: User, api: State<Api>) -> Result<Plain, Problem> {
    favourite(user, api).await
}

/// Chooses the favourite genre.
#[utoipa::path(put, path = "/genres/fav", operation_id = "chooseGenre", request_body = FavouriteGenre, responses(
    (status = 204, description = "The favourite genre is stored"),
))]
pub(super) async fn choose(
    caller: User,
    State(api): State<Api>,
    Body(choice): Body<FavouriteGenre>,
) -> Result<StatusCode, Problem> {
    let user = caller.person(&api).await?;
    if !api.genres.contains(&choice.genre) {
        return Err(Problem::invalid("genre", "expected one of `genres`").with_genres(&api.genres));
    }
    api.store.choose_genre(&user, &choice.genre).await?;
    Ok(StatusCode::NO_CONTENT)
}
