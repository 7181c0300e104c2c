//! Account linking: `POST /users/{id}/identities`, `DELETE /users/{id}/identities/{provider}/{user_id}` (Auth0 docs,
//! user-account-linking, unlink-user-accounts).
//!
//! Owns the decision. The secondary ceases to exist, and its metadata with it; unlinked, it exists again without metadata. Our
//! choices: the texts of refusals and the statuses of 404 and 409; the identities of a secondary that has linked ones go to the
//! primary as well. Must never change the primary's own attributes.

use serde_json::Value;
use time::OffsetDateTime;

use super::change::{Change, Users};
use super::errors::ApiError;
use super::merge::Object;
use super::profile::{self, timestamp};

/// Attributes of the secondary that its identity shows as `profileData`.
const SHOWN: [&str; 10] = [
    "email",
    "email_verified",
    "family_name",
    "given_name",
    "name",
    "nickname",
    "phone_number",
    "phone_verified",
    "picture",
    "username",
];

/// The primary's identities afterwards, and the change.
pub(super) type Decided = (Value, Change);

/// Decides a link; the body names the secondary by provider and id.
pub(super) fn link(users: &Users, id: &str, sent: Object, now: OffsetDateTime) -> Result<Decided, ApiError> {
    let text = |name: &str| {
        sent.get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    if sent.contains_key("link_with") {
        return Err(ApiError::payload(
            "This tenant links by provider and user_id",
            Some("link_with"),
        ));
    }
    let (Some(provider), Some(own_id)) = (text("provider"), text("user_id")) else {
        return Err(ApiError::payload("None of the valid schemas were met", None));
    };
    let named = format!(
        "{provider}|{}",
        own_id.strip_prefix(&format!("{provider}|")).unwrap_or(own_id)
    );
    let primary = users.get(id).ok_or_else(ApiError::unknown_user)?;
    if named == id {
        return Err(ApiError::new(
            400,
            Some("invalid_body"),
            "Main and linked identity are the same.",
        ));
    }
    let Some(secondary) = users.get(&named) else {
        let linked = users
            .values()
            .any(|user| identities(user).any(|one| full_id(one).as_ref() == Some(&named)));
        return Err(if linked {
            ApiError::new(409, None, "Specified identity belongs to another user.")
        } else {
            ApiError::unknown_user()
        });
    };
    let mut user = primary.clone();
    let added = identities(secondary).enumerate().map(|(place, identity)| {
        let mut identity = identity.clone();
        if place == 0 {
            let shown = SHOWN
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), secondary.get(*name)?.clone())));
            identity["profileData"] = shown.collect::<Object>().into();
        }
        identity
    });
    let all: Vec<Value> = identities(primary).cloned().chain(added).collect();
    user.insert("identities".into(), all.clone().into());
    user.insert("updated_at".into(), timestamp(now).into());
    let secondary = secondary.clone();
    Ok((
        all.into(),
        Change::Linked {
            user,
            secondary,
            sent,
        },
    ))
}

/// Decides an unlink.
pub(super) fn unlink(
    users: &Users,
    id: &str,
    identity: Option<&(String, String)>,
    now: OffsetDateTime,
) -> Result<Decided, ApiError> {
    let primary = users.get(id).ok_or_else(ApiError::unknown_user)?;
    let named = identity
        .map(|(provider, id)| format!("{provider}|{id}"))
        .unwrap_or_default();
    if named == id {
        return Err(ApiError::new(
            400,
            Some("invalid_body"),
            "Main identity cannot be unlinked.",
        ));
    }
    let of_name = |one: &&Value| full_id(one).as_ref() == Some(&named);
    let Some(unlinked) = identities(primary).find(of_name) else {
        return Err(ApiError::new(404, None, "The identity does not exist."));
    };
    let left: Vec<Value> = identities(primary).filter(|one| !of_name(one)).cloned().collect();
    let mut user = primary.clone();
    user.insert("identities".into(), left.clone().into());
    user.insert("updated_at".into(), timestamp(now).into());
    let mut body = unlinked["profileData"].as_object().cloned().unwrap_or_default();
    body.insert("connection".into(), unlinked["connection"].clone());
    let secondary = profile::created(&named, &body, now);
    Ok((left.into(), Change::Unlinked { user, secondary }))
}

fn identities(user: &Object) -> impl Iterator<Item = &Value> {
    user.get("identities")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Returns the user id of an identity: provider and id.
pub(super) fn full_id(identity: &Value) -> Option<String> {
    let (provider, id) = (identity["provider"].as_str()?, identity["user_id"].as_str()?);
    Some(format!("{provider}|{id}"))
}
