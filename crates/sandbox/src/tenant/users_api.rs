//! The Management API's calls on users: the response of each call, and its change.
//!
//! Owns the decision only. Must never change the state: with some faults, the response is sent without the change.

use serde_json::Value;
use time::OffsetDateTime;

use super::calls::{Endpoint, pairs};
use super::change::{Change, Users};
use super::errors::ApiError;
use super::linking;
use super::merge::Object;
use super::options::ProfileLimit;
use super::profile::{self, size};
use super::search;

/// A call whose token was accepted.
pub(super) struct Request<'a> {
    pub endpoint: Endpoint,
    pub user_id: Option<&'a str>,
    /// Provider and id of the identity in the path.
    pub identity: Option<(String, String)>,
    pub query: &'a str,
    pub body: &'a [u8],
    pub scopes: &'a [String],
    /// The id for a user that is created without one: 24 hex digits.
    pub new_id: &'a str,
    pub now: OffsetDateTime,
    pub limit: ProfileLimit,
    pub search_results: usize,
}

/// The response, and its change.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub body: Option<Value>,
    pub change: Option<Change>,
}

/// Decides one call.
pub(super) fn decide(users: &Users, request: &Request<'_>) -> Result<Reply, ApiError> {
    let any_of: &[&str] = match request.endpoint {
        Endpoint::ListUsers => &["read:users", "read:user_idp_tokens"],
        Endpoint::ReadUser => &["read:users", "read:current_user", "read:user_idp_tokens"],
        Endpoint::CreateUser => &["create:users"],
        Endpoint::PatchUser => &[
            "update:users",
            "update:users_app_metadata",
            "update:current_user_metadata",
        ],
        Endpoint::DeleteUser => &["delete:users", "delete:current_user"],
        Endpoint::LinkIdentity | Endpoint::UnlinkIdentity => {
            &["update:users", "update:current_user_identities"]
        }
        Endpoint::Token
        | Endpoint::SignUp
        | Endpoint::Keys
        | Endpoint::Discovery
        | Endpoint::ReadLogs
        | Endpoint::ReadLog
        | Endpoint::ExportUsers
        | Endpoint::ReadJob
        | Endpoint::ExportFile
        | Endpoint::Other => return Err(ApiError::unknown_path()),
    };
    if !request
        .scopes
        .iter()
        .any(|scope| any_of.contains(&scope.as_str()))
    {
        return Err(ApiError::insufficient_scope(any_of));
    }
    let id = request.user_id.unwrap_or_default();
    match request.endpoint {
        Endpoint::ListUsers => Ok(Reply {
            status: 200,
            body: Some(search::list(users, request.query, request.search_results)?),
            change: None,
        }),
        Endpoint::CreateUser => create(users, request),
        Endpoint::PatchUser => {
            let body = profile::parse(request.body)?;
            patch(users, id, body, request.now, request.limit)
        }
        Endpoint::DeleteUser => Ok(delete(users, id)),
        Endpoint::LinkIdentity => {
            let linked = linking::link(users, id, profile::parse(request.body)?, request.now)?;
            Ok(identities(201, linked))
        }
        Endpoint::UnlinkIdentity => {
            let unlinked = linking::unlink(users, id, request.identity.as_ref(), request.now)?;
            Ok(identities(200, unlinked))
        }
        _ => {
            let user = users.get(id).ok_or_else(ApiError::unknown_user)?;
            let user = search::selected(user, &pairs(request.query));
            Ok(Reply {
                status: 200,
                body: Some(user.into()),
                change: None,
            })
        }
    }
}

fn identities(status: u16, (identities, change): linking::Decided) -> Reply {
    Reply {
        status,
        body: Some(identities),
        change: Some(change),
    }
}

fn create(users: &Users, request: &Request<'_>) -> Result<Reply, ApiError> {
    let body = profile::parse(request.body)?;
    profile::check_creation(&body)?;
    let own_id = body
        .get("user_id")
        .and_then(Value::as_str)
        .unwrap_or(request.new_id);
    let id = format!("auth0|{own_id}");
    let email = body.get("email").filter(|email| !email.is_null());
    let taken = |user: &Object| {
        email.is_some()
            && user.get("email") == email
            && user["identities"][0]["connection"] == body["connection"]
    };
    if users.contains_key(&id) || users.values().any(taken) {
        return Err(ApiError::user_exists());
    }
    let user = profile::created(&id, &body, request.now);
    check_size(&user, request.limit)?;
    let change = Change::Created {
        user: user.clone(),
        sent: body,
    };
    Ok(Reply {
        status: 201,
        body: Some(user.into()),
        change: Some(change),
    })
}

/// Decides a PATCH, also for edits inside the process.
pub(super) fn patch(
    users: &Users,
    id: &str,
    body: Object,
    now: OffsetDateTime,
    limit: ProfileLimit,
) -> Result<Reply, ApiError> {
    profile::check_patch(&body)?;
    let before = users.get(id).ok_or_else(ApiError::unknown_user)?;
    let user = profile::patched(before, &body, now);
    check_size(&user, limit)?;
    let change = Change::Patched {
        user: user.clone(),
        sent: body,
    };
    Ok(Reply {
        status: 200,
        body: Some(user.into()),
        change: Some(change),
    })
}

/// Decides a DELETE: 204 also for an unknown user, since the `OpenAPI` file has no 404 here.
pub(super) fn delete(users: &Users, id: &str) -> Reply {
    let change = users.get(id).map(|user| Change::Deleted { user: user.clone() });
    Reply {
        status: 204,
        body: None,
        change,
    }
}

/// Returns the refusal of a large profile. Status and text are our choice; see [`ProfileLimit`].
fn check_size(user: &Object, limit: ProfileLimit) -> Result<(), ApiError> {
    let size = size(user);
    if size > limit.refused_above {
        let message = format!(
            "The user profile has {size} bytes, more than {}.",
            limit.refused_above
        );
        return Err(ApiError::invalid_body(message));
    }
    Ok(())
}
