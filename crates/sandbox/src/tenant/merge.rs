//! The effect of a PATCH on `app_metadata` and `user_metadata`.
//!
//! Owns the merge, which happens at the first level only: a key is added or replaced as a whole, `null` removes it, and an
//! empty object deletes everything (Auth0 docs, manage-metadata-api; recordings of the Terraform provider). Must never merge
//! deeper: tests check how the worker handles roles that are lost by this rule.

use serde_json::{Map, Value};

use super::errors::ApiError;

/// A JSON object: a user's profile or one of its parts.
pub(super) type Object = Map<String, Value>;

/// Keys that `app_metadata` must not have (Auth0 docs, metadata-fields-data).
const FORBIDDEN: [&str; 18] = [
    "__tenant",
    "_id",
    "blocked",
    "clientID",
    "created_at",
    "email_verified",
    "email",
    "globalClientID",
    "global_client_id",
    "identities",
    "lastIP",
    "lastLogin",
    "loginsCount",
    "metadata",
    "multifactor_last_modified",
    "multifactor",
    "updated_at",
    "user_id",
];

/// Returns the result of `patch` on `before`.
pub(super) fn merged(before: Option<&Object>, patch: &Object) -> Object {
    if patch.is_empty() {
        return Object::new();
    }
    let mut after = before.cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            after.remove(key);
        } else {
            after.insert(key.clone(), value.clone());
        }
    }
    after
}

/// Refuses keys that Auth0 does not accept. The status 400, and the rule for `.` and `$` at every depth, are our choices; the
/// documentation only forbids these keys.
pub(super) fn check_keys(field: &str, patch: &Object) -> Result<(), ApiError> {
    if field == "app_metadata"
        && let Some(key) = patch.keys().find(|key| FORBIDDEN.contains(&key.as_str()))
    {
        return Err(ApiError::payload(
            &format!("Property not allowed: {key}"),
            Some(field),
        ));
    }
    match patch.iter().find_map(|(key, value)| odd_key(key, value)) {
        Some(key) => Err(ApiError::payload(
            &format!("Key contains . or $: {key}"),
            Some(field),
        )),
        None => Ok(()),
    }
}

/// Returns the first key with a `.` or `$`, at any depth.
fn odd_key<'a>(key: &'a str, value: &'a Value) -> Option<&'a str> {
    if key.contains(['.', '$']) {
        return Some(key);
    }
    match value {
        Value::Object(inner) => inner.iter().find_map(|(key, value)| odd_key(key, value)),
        Value::Array(items) => items.iter().find_map(|item| odd_key("", item)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn merges_at_the_first_level_only() {
        let before = json!({"roles": ["a", "b"], "plan": {"name": "gold", "until": 3}, "keep": 1});
        let table = [
            (
                json!({"roles": ["c"]}),
                json!({"roles": ["c"], "plan": {"name": "gold", "until": 3}, "keep": 1}),
            ),
            (
                json!({"plan": {"name": "tin"}}),
                json!({"roles": ["a", "b"], "plan": {"name": "tin"}, "keep": 1}),
            ),
            (
                json!({"roles": null}),
                json!({"plan": {"name": "gold", "until": 3}, "keep": 1}),
            ),
            (
                json!({"plan": {}}),
                json!({"roles": ["a", "b"], "plan": {}, "keep": 1}),
            ),
            (json!({"unknown": null}), before.clone()),
            (json!({}), json!({})),
        ];
        for (patch, after) in table {
            assert_eq!(
                merged(Some(&object(before.clone())), &object(patch.clone())),
                object(after),
                "{patch}"
            );
        }
        assert_eq!(
            merged(None, &object(json!({"a": 1, "b": null}))),
            object(json!({"a": 1}))
        );
    }

    #[test]
    fn refuses_the_keys_that_auth0_forbids() {
        for key in FORBIDDEN {
            let patch = object(json!({key: 1}));
            assert!(check_keys("app_metadata", &patch).is_err(), "{key}");
            assert!(check_keys("user_metadata", &patch).is_ok(), "{key}");
        }
        for patch in [
            json!({"a.b": 1}),
            json!({"$a": 1}),
            json!({"a": [{"b": {"c.d": 1}}]}),
        ] {
            assert!(
                check_keys("user_metadata", &object(patch.clone())).is_err(),
                "{patch}"
            );
        }
        assert!(check_keys("app_metadata", &object(json!({"roles": ["a.b", "$"]}))).is_ok());
    }
}
