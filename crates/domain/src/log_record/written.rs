//! The effect of a write on a user's roles, as far as its record shows.
//!
//! Owns the reading of `app_metadata` in requests and in Event Streams. Must never guess: an unclear effect is
//! [`WrittenRoles::Unknown`].

use super::fields::is_clean;
use super::object::Object;

/// Maximum number of roles in a list. Auth0 limits a whole profile to 10 KB, which 500 names of 17 letters fill.
const MAX_ROLES: usize = 500;
/// Maximum size of a list as JSON, in bytes: 10 KB, plus the allowance above it of which Auth0 publishes no figure.
const MAX_LIST_BYTES: usize = 16 * 1024;

/// The effect of a write on `app_metadata.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenRoles {
    /// The roles did not change.
    Untouched,
    /// The new roles; an empty list also if the key was removed.
    Set(Vec<String>),
    /// The write sent an empty `app_metadata`, by which Auth0 deletes all of its content.
    Wiped,
    /// The effect is unclear, or the list is larger than a profile allows.
    Unknown,
}

/// The effect of a request with this body. Auth0 merges `app_metadata` at its first level.
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

/// The effect on the roles between two states of a user; the earlier state may be unknown.
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

/// The roles in `app_metadata`; `None` if they are not a list of names, or longer than a profile allows. All lists of a
/// user are compared with each other, so each must be short.
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
