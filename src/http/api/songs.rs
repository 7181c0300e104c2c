//! `/songs`: the caller's songs.
//!
//! Owns these routes. Must never show or touch another user's songs.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::problem::{PROBLEM_JSON, Problem, ProblemBody};
use super::request::{Body, Id, Page, PageQuery, User};
use super::state::Api;
use rolekeeper_domain::ids::Token;
use rolekeeper_domain::name::Name;

/// Most songs of one user.
const MAX_SONGS: i64 = 10_000;

/// A song.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
pub(super) struct Song {
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    song_id: String,
    songname: String,
    /// The user who added it: always the caller.
    user_id: String,
}

/// A song to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSong {
    #[schema(schema_with = super::openapi::name)]
    songname: String,
}

/// The caller's songs, in the order in which they were added.
#[utoipa::path(get, path = "/songs", operation_id = "listSongs", params(PageQuery), responses(
    (status = 200, description = "The songs; `Link` leads to the next page, if this one is full", body = [Song],
     headers(("Link" = Option<String>, description = "rel=\"next\""))),
    (status = 400, description = "A parameter is not well formed", body = ProblemBody,
     content_type = PROBLEM_JSON),
))]
pub(super) async fn list(
    caller: User,
    State(api): State<Api>,
    page: Page,
) -> Result<(HeaderMap, Json<Vec<Song>>), Problem> {
    let user = caller.person(&api).await?;
    let songs = api.store.songs(&user, page.after.as_ref(), page.limit).await?;
    let next = page.next(
        "/songs",
        songs.len(),
        songs.last().map(|song| song.song_id.as_str()),
    );
    let songs = songs.into_iter().map(|song| Song {
        song_id: song.song_id,
        songname: song.songname,
        user_id: user.as_str().to_owned(),
    });
    Ok((next, Json(songs.collect())))
}

/// Adds a song. A user has 10,000 at most.
#[utoipa::path(post, path = "/songs", operation_id = "addSong", request_body = NewSong, responses(
    (status = 201, description = "The added song", body = Song),
    (status = 409, description = "The caller has reached the limit", body = ProblemBody,
     content_type = PROBLEM_JSON),
))]
pub(super) async fn add(
    caller: User,
    State(api): State<Api>,
    Body(new): Body<NewSong>,
) -> Result<(StatusCode, Json<Song>), Problem> {
    let user = caller.person(&api).await?;
    let name = Name::parse(new.songname).map_err(|expected| Problem::invalid("songname", expected))?;
    let song_id = format!("s_{}", Uuid::now_v7().simple());
    let id = Token::parse(song_id.as_str()).map_err(|expected| Problem::invalid("song_id", expected))?;
    if !api.store.add_song(&user, &id, &name, MAX_SONGS).await? {
        let detail = format!("you have {MAX_SONGS} songs, which is the limit; delete one first");
        return Err(Problem::limit_reached(detail));
    }
    let song = Song {
        song_id,
        songname: name.as_str().to_owned(),
        user_id: user.as_str().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(song)))
}

/// Deletes a song of the caller.
#[utoipa::path(delete, path = "/songs/{id}", operation_id = "deleteSong", params(
    ("id" = String, Path, description = "Its `song_id`", pattern = "^[A-Za-z0-9_-]{1,64}$"),
), responses(
    (status = 204, description = "The song is deleted"),
    (status = 400, description = "A parameter is not well formed", body = ProblemBody,
     content_type = PROBLEM_JSON),
    (status = 404, description = "The caller has no song with this id", body = ProblemBody,
     content_type = PROBLEM_JSON),
))]
pub(super) async fn delete(
    caller: User,
    State(api): State<Api>,
    Id(song): Id,
) -> Result<StatusCode, Problem> {
    let user = caller.person(&api).await?;
    if api.store.remove_song(&user, &song).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("you have no song with this id"))
    }
}
