//! What a write did to a user's roles, as far as the record of it tells.
//!
//! Owns the reading of `app_metadata` in requests and in Event Streams. Must never guess: what it cannot
//! tell is [`WrittenRoles::Unknown`].

use super::is_clean;
use super::object::Object;

/// Roles in a list at most. Auth0 bounds a profile at 10 KB, everything in it together; of names of 17 letters so many fill it.
const MAX_ROLES: usize = 500;
/// Bytes of a list at most, as JSON: 10 KB, and room for the allowance above it of which Auth0 tells no figure.
const MAX_LIST_BYTES: usize = 16 * 1024;

/// What a write did to `app_metadata.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenRoles {
    /// It left them as they were.
    Untouched,
    /// They are these now; an empty list also if the key was removed.
    Set(Vec<String>),
    /// It sent an empty `app_metadata`, by which Auth0 deletes everything in it.
    Wiped,
    /// It cannot be told, or is more than a profile may hold.
    Unknown,
}

/// What a request with this body did to the roles. Auth0 merges `app_metadata` by its first level.
pub(super) fn requested_roles(body: Option<&Object<'_>>) -> WrittenRoles {
    match body {
        None => WrittenRoles::Unknown,
        Some(body) if !body.has("app_metadata") => WrittenRoles::Untouched,
        Some(body) => match body.object("app_metadata") {
            None => WrittenRoles::Unknown,
            Some(metadata) if metadata.is_empty() => WrittenRoles::Wiped,
            Some(metadata) if !metadata.has("roles") => WrittenRoles::Untouched,
            Some(metadata) => listed_roles(&metadata).map_or(WrittenRoles::Unknown, WrittenRoles::Set),
        },
    }
}

/// What happened to the roles between two states of a user, the earlier of which may be unknown.
pub(super) fn changed_roles(before: Option<&Object<'_>>, now: &Object<'_>) -> WrittenRoles {
    // A user without metadata has no such key.
    let roles = |user: &Object<'_>| match user.get("app_metadata") {
        None => Some(Vec::new()),
        Some(_) => listed_roles(&user.object("app_metadata")?),
    };
    match roles(now) {
        None => WrittenRoles::Unknown,
        Some(listed) if before.and_then(roles).as_ref() == Some(&listed) => WrittenRoles::Untouched,
        Some(listed) => WrittenRoles::Set(listed),
    }
}

/// The roles in `app_metadata`; nothing if they are something else than a list of names, or longer than any list of a profile:
/// what is compared with all other lists of the user must be short.
fn listed_roles(metadata: &Object<'_>) -> Option<Vec<String>> {
    let Some(json) = metadata.get("roles") else {
        return Some(Vec::new());
    };
    if json.len() > MAX_LIST_BYTES {
        return None;
    }
    let roles: Vec<String> = serde_json::from_str(json).ok()?;
    (roles.len() <= MAX_ROLES && roles.iter().all(|role| is_clean(role))).then_some(roles)
}
