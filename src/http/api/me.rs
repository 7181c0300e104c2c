//! `/me`: the caller's name, roles, plan and greeting.
//!
//! Owns this route. Must never take a role from the token: the roles held at Auth0 according to our own records count.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::User;
use super::state::Api;

/// The role that opens the editor's features of the app.
pub(super) const EDITOR: &str = "playlist_editor";

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    user_id: String,
    /// The newest requested name, or else the name in the profile; null without either.
    display_name: Option<String>,
    /// The managed roles that the caller holds at Auth0.
    roles: Vec<String>,
    /// The subscription plan, `app_metadata.plan`.
    plan: Option<String>,
    /// `EDITOR` for holders of `playlist_editor`, else `USER`.
    greeting: Greeting,
}

/// The greeting of the app.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Greeting {
    Editor,
    User,
}

/// The caller's name, roles, plan and greeting.
#[utoipa::path(get, path = "/me", operation_id = "getMe", responses(
    (status = 200, description = "The stored data of the caller", body = Me),
))]
pub(super) async fn me(caller: User, State(api): State<Api>) -> Result<Json<Me>, Problem> {
    let user = caller.person(&api).await?;
    let roles = api.store.roles_held(&user).await?;
    let greeting = if roles.iter().any(|role| role == EDITOR) {
        Greeting::Editor
    } else {
        Greeting::User
    };
    Ok(Json(Me {
        user_id: user.as_str().to_owned(),
        display_name: api.store.display_name(&user).await?,
        roles,
        plan: api.store.plan(&user).await?,
        greeting,
    }))
}
