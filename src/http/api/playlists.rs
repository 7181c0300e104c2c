//! `/playlists`: the caller's playlists.
//!
//! Owns these routes. Must never write a playlist: a change is published as an event, and takes effect when the fold has
//! committed it.

use std::future::Future;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::me::EDITOR;
use super::problem::{Code, PROBLEM_JSON, Problem, ProblemBody};
use super::request::{Body, Id, Page, PageQuery, User};
use super::state::Api;
use super::text;
use crate::flow::publish::{NotPublished, Published};
use rolekeeper_domain::ids::{Token, UserId};
use rolekeeper_domain::name::Name;

/// Most playlists of one user through the data API. Playlists that the fold has not committed yet are not counted.
const MAX_PLAYLISTS: i64 = 1_000;

/// A playlist.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
pub(super) struct Playlist {
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    playlist_id: String,
    name: String,
    /// Its owner: always the caller.
    user_id: String,
    /// The number of its plays.
    #[schema(minimum = 0)]
    plays: i64,
    /// Whether the caller features it.
    featured: bool,
}

/// A playlist to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPlaylist {
    #[schema(schema_with = super::openapi::name)]
    name: String,
}

/// An accepted change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    playlist_id: String,
    /// The event that carries the change.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    event_id: String,
}

impl From<Published> for Accepted {
    fn from(published: Published) -> Self {
        Self {
            playlist_id: published.playlist_id,
            event_id: published.event_id,
        }
    }
}

/// The playlist to be featured.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Featured {
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    playlist_id: String,
}

/// The caller's playlists, in order of their ids.
#[utoipa::path(get, path = "/playlists", operation_id = "listPlaylists", params(PageQuery), responses(
    (status = 200, description = "The playlists; `Link` leads to the next page, if this one is full", body = [Playlist],
     headers(("Link" = Option<String>, description = "rel=\"next\""))),
    (status = 400, description = "A parameter is not well formed", body = ProblemBody,
     content_type = PROBLEM_JSON),
))]
pub(super) async fn list(
    caller: User,
    State(api): State<Api>,
    page: Page,
) -> Result<(HeaderMap, Json<Vec<Playlist>>), Problem> {
    let user = caller.person(&api).await?;
    let playlists = api
        .store
        .own_playlists(&user, page.after.as_ref(), page.limit)
        .await?;
    let last = playlists.last().map(|playlist| playlist.playlist_id.as_str());
    let next = page.next("/playlists", playlists.len(), last);
    let playlists = playlists.into_iter().map(|playlist| Playlist {
        playlist_id: playlist.playlist_id,
        name: playlist.name,
        user_id: user.as_str().to_owned(),
        plays: playlist.plays,
        featured: playlist.featured,
    });
    Ok((next, Json(playlists.collect())))
}

/// Makes a playlist. It is listed after a short delay. A user can have 1,000 at most.
#[utoipa::path(post, path = "/playlists", operation_id = "makePlaylist", request_body = NewPlaylist, responses(
    (status = 202, description = "The playlist will be listed after a short delay", body = Accepted),
    (status = 409, description = "The caller has reached the limit", body = ProblemBody,
     content_type = PROBLEM_JSON),
))]
pub(super) async fn make(
    caller: User,
    State(api): State<Api>,
    Body(new): Body<NewPlaylist>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let user = caller.person(&api).await?;
    let name = Name::parse(new.name).map_err(|expected| Problem::invalid("name", expected))?;
    api.store.refuse_erased(&user).await?;
    if api.store.own_playlists_count(&user).await? >= MAX_PLAYLISTS {
        let detail = format!("you have {MAX_PLAYLISTS} playlists, which is the limit; delete one first");
        return Err(Problem::limit_reached(detail));
    }
    let published = publish(&api, &user, api.publish.saved(&user, &name)).await?;
    Ok((StatusCode::ACCEPTED, Json(published.into())))
}

/// Deletes a playlist of the caller, with its plays. It is no longer listed after a short delay.
#[utoipa::path(delete, path = "/playlists/{id}", operation_id = "deletePlaylist", params(
    ("id" = String, Path, description = "Its `playlist_id`", pattern = "^[A-Za-z0-9_-]{1,64}$"),
), responses(
    (status = 202, description = "The playlist will be deleted after a short delay", body = Accepted),
    (status = 400, description = "A parameter is not well formed", body = ProblemBody,
     content_type = PROBLEM_JSON),
    (status = 404, description = "The caller has no playlist with this id", body = ProblemBody,
     content_type = PROBLEM_JSON),
))]
pub(super) async fn delete(
    caller: User,
    State(api): State<Api>,
    Id(playlist): Id,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let user = caller.person(&api).await?;
    // The event names the id that owns the playlist, which may be linked to the caller's.
    let Some(owner) = api.store.owning_id(&user, &playlist).await? else {
        return Err(not_there());
    };
    let published = publish(&api, &user, api.publish.deleted(&owner, &playlist)).await?;
    Ok((StatusCode::ACCEPTED, Json(published.into())))
}

/// The number of plays of the caller's most played playlist, as plain text.
#[utoipa::path(get, path = "/playlists/getPlays", operation_id = "getPlays", responses(
    (status = 200, description = "0 without a playlist", body = String, content_type = "text/plain"),
))]
pub(super) async fn plays(caller: User, State(api): State<Api>) -> Result<text::Plain, Problem> {
    let user = caller.person(&api).await?;
    Ok(text::Plain(api.store.best_plays(&user).await?.to_string()))
}

/// Features a playlist of the caller instead of the previous one. Only for holders of the role `playlist_editor`.
#[utoipa::path(put, path = "/playlists/featured", operation_id = "featurePlaylist", request_body = Featured, responses(
    (status = 204, description = "The playlist is featured"),
    (status = 403, description = "The caller does not hold the role `playlist_editor`, or was erased, or the token lacks the scope", body = ProblemBody,
     content_type = PROBLEM_JSON),
    (status = 404, description = "The caller has no playlist with this id", body = ProblemBody,
     content_type = PROBLEM_JSON),
))]
pub(super) async fn feature(
    caller: User,
    State(api): State<Api>,
    Body(featured): Body<Featured>,
) -> Result<StatusCode, Problem> {
    let user = caller.person(&api).await?;
    let playlist =
        Token::parse(featured.playlist_id).map_err(|expected| Problem::invalid("playlist_id", expected))?;
    if !api
        .store
        .roles_held(&user)
        .await?
        .iter()
        .any(|role| role == EDITOR)
    {
        let detail = "only users with the role playlist_editor can feature a playlist";
        return Err(Problem::new(StatusCode::FORBIDDEN, Code::NotAnEditor, detail));
    }
    if api.store.feature(&user, &playlist).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_there())
    }
}

/// Publishes an event if the caller's daily budget allows it. An event that was not stored is not charged.
async fn publish(
    api: &Api,
    user: &UserId<'_>,
    publishing: impl Future<Output = Result<Published, NotPublished>>,
) -> Result<Published, Problem> {
    let taken = api.store.take_publish(user, api.publishes_per_day).await?;
    taken.map_err(|wait| Problem::rate_limited(wait.as_secs() + 1))?;
    match publishing.await {
        Ok(published) => Ok(published),
        Err(why) => {
            api.store.give_back_publish(user, api.publishes_per_day).await?;
            Err(why.into())
        }
    }
}

fn not_there() -> Problem {
    Problem::not_found("you have no playlist with this id")
}
