//! `POST /oauth/token` with a user's password, and the post-login Action.
//!
//! Owns the decision about a login and the claims of its tokens. The Action is the one in `deploy/auth0`: roles in both tokens
//! when they are requested, the display name in the ID token, a default name for users without one. Must never write roles.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::change::Change;
use super::merge::Object;
use super::options::{Action, TenantOptions};
use super::profile::{self, digest};
use super::records::{self, APP_CLIENT};
use super::sign_up::of_email;
use super::state::State;

/// The grants with a password.
const GRANTS: [&str; 2] = ["password", "http://auth0.com/oauth/grant-type/password-realm"];

/// Returns whether a request for a token is a user's login.
pub(super) fn is_asked(fields: &Object) -> bool {
    let grant = fields.get("grant_type").and_then(Value::as_str);
    grant.is_some_and(|grant| GRANTS.contains(&grant))
}

/// A refused login: status and body, and its log record, if it leaves one.
pub(super) struct Refusal {
    pub status: u16,
    pub body: Value,
    pub record: Option<Value>,
}

/// An accepted login: the changes of the user, first the login itself, and the response without the tokens.
pub(super) struct Accepted {
    pub changes: Vec<Change>,
    pub id_claims: Option<Value>,
    pub access_claims: Option<Value>,
    pub scope: String,
}

/// Decides one login.
pub(super) fn decide(
    state: &State,
    options: &TenantOptions,
    fields: &Object,
    issuer: &str,
    now: OffsetDateTime,
) -> Result<Accepted, Refusal> {
    let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let refused = |status, error: &str, description: &str, record| Refusal {
        status,
        body: json!({"error": error, "error_description": description}),
        record,
    };
    if field("client_id") != APP_CLIENT {
        return Err(refused(401, "access_denied", "Unauthorized", None));
    }
    let audience = Some(field("audience")).filter(|audience| !audience.is_empty());
    if audience.is_some() && audience != options.api.as_deref() {
        let text = format!("Service not enabled within domain: {}", field("audience"));
        return Err(refused(403, "access_denied", &text, None));
    }
    let wrong = |kind, user| {
        let record = records::login_failed(kind, user, field("username"), &options.name, now);
        refused(403, "invalid_grant", "Wrong email or password.", Some(record))
    };
    let (user, identity) = of_email(&state.users, field("username")).ok_or_else(|| wrong("fu", None))?;
    let id = user["user_id"].as_str().unwrap_or_default();
    if state.passwords.get(&identity) != Some(&digest(field("password"))) {
        return Err(wrong("fp", Some(user)));
    }
    if user.get("blocked") == Some(&true.into()) {
        return Err(refused(403, "unauthorized", "user is blocked", None));
    }
    let logged_in = profile::logged_in(user, now);
    let scopes: Vec<&str> = field("scope").split_whitespace().collect();
    let common = json!({
        "iss": issuer, "sub": id, "iat": now.unix_timestamp(),
        "exp": now.unix_timestamp() + i64::try_from(options.token_lifetime.as_secs()).unwrap_or(i64::MAX),
    });
    let mut id_claims = common.clone();
    id_claims["aud"] = APP_CLIENT.into();
    let mut access_claims = common;
    access_claims["aud"] = json!([audience, format!("{issuer}userinfo")]);
    access_claims["azp"] = APP_CLIENT.into();
    access_claims["scope"] = field("scope").into();
    let mut changes = vec![Change::LoggedIn {
        user: logged_in.clone(),
    }];
    if let Some(action) = &options.action {
        changes.extend(act(
            action,
            &logged_in,
            &scopes,
            [&mut id_claims, &mut access_claims],
            now,
        ));
    }
    Ok(Accepted {
        changes,
        id_claims: scopes.contains(&"openid").then_some(id_claims),
        access_claims: audience.map(|_| access_claims),
        scope: field("scope").to_owned(),
    })
}

/// Runs the Action; returns the change of the profile, if there is one.
fn act(
    action: &Action,
    user: &Object,
    scopes: &[&str],
    [id_claims, access_claims]: [&mut Value; 2],
    now: OffsetDateTime,
) -> Option<Change> {
    let Action {
        namespace,
        default_display_name: default,
    } = action;
    let name = user
        .get("user_metadata")
        .map_or(&Value::Null, |metadata| &metadata["displayName"]);
    let given = if name.is_null() { default.clone() } else { None };
    let shown = given
        .as_deref()
        .or_else(|| name.as_str())
        .filter(|name| !name.is_empty());
    if let Some(name) = shown {
        id_claims[format!("{namespace}/displayName")] = name.into();
    }
    let held = user
        .get("app_metadata")
        .map_or(&Value::Null, |metadata| &metadata["roles"]);
    let texts = |roles: &Vec<Value>| roles.iter().all(Value::is_string);
    if scopes.contains(&"roles") && held.as_array().is_some_and(texts) {
        for claims in [id_claims, access_claims] {
            claims[format!("{namespace}/roles")] = held.clone();
        }
    }
    let sent = json!({"user_metadata": {"displayName": given?}});
    let sent = sent.as_object()?.clone();
    let user = profile::patched(user, &sent, now);
    Some(Change::Patched { user, sent })
}
