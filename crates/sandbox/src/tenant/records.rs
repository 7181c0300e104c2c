//! Log records, as in Auth0's log stream.
//!
//! Owns their format, taken from recorded ones: `ss` and `sapi` for a user created by API, `sapi` for a change,
//! `sdu` and `sapi` for a deletion, `s` for a login, `sv` for a verified e-mail address. No `sapi` of PATCH /users/{id} was ever published: its
//! description is the endpoint's summary in the `OpenAPI` file, and its response body is the whole user, as in the record
//! of a creation. Must never put the subject into `sapi`'s `user_id`: that is the actor.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::calls::{Actor, identity_path, user_path};
use super::change::Change;
use super::merge::Object;
use super::profile::{DATABASE, strategy_type, timestamp};

/// The client of calls from the Dashboard.
pub const DASHBOARD_CLIENT: &str = "sandboxAllApplicationsClient0000";
/// The administrator in the Dashboard.
pub const DASHBOARD_ADMIN: &str = "auth0|sandbox-administrator";
/// The application in which users sign up and log in.
pub const APP_CLIENT: &str = "sandboxListenerApp00000000000000";

/// Time by which the `sapi` record of an act is younger than the record about its subject.
const TWIN_GAP: Duration = Duration::from_millis(20);

/// Returns the records of one change, in the order of their dates; without `log_id`.
pub(super) fn of(
    change: &Change,
    by: &Actor,
    scopes: &[String],
    tenant: &str,
    now: OffsetDateTime,
) -> Vec<Value> {
    if *by == Actor::Unrecorded {
        return vec![];
    }
    let mut records = vec![];
    match change {
        Change::Created { user, sent } => records.push(signed_up(user, sent, by, tenant, now)),
        Change::LoggedIn { user } => records.push(logged_in(user, tenant, now)),
        Change::EmailVerified { user } => records.push(email_verified(user, tenant, now)),
        Change::Deleted { user } => records.push(user_deleted(user, tenant, now)),
        Change::Patched { .. } | Change::Linked { .. } | Change::Unlinked { .. } => {}
    }
    if matches!(by, Actor::Client(_) | Actor::Dashboard) {
        let at = if records.is_empty() { now } else { now + TWIN_GAP };
        records.push(api_write(change, by, scopes, tenant, at));
    }
    records
}

/// Returns the record of a profile above the documented 10 KB. It is an inference that `wum` is this warning.
pub(super) fn oversized(user_id: &str, tenant: &str, now: OffsetDateTime) -> Value {
    let mut record = base("wum", "User profile exceeds the size limit", tenant, now);
    record["details"] = json!({"tenant": tenant, "user_id": user_id});
    record
}

fn base(kind: &str, description: &str, tenant: &str, at: OffsetDateTime) -> Value {
    json!({
        "date": timestamp(at),
        "type": kind,
        "description": description,
        "ip": "203.0.113.7",
        "user_agent": "Other 0.0.0 / Other 0.0.0",
        "tenant_name": tenant,
        "environment_name": "sandbox-1",
        "$event_schema": {"version": "1.0.0"},
    })
}

/// Returns `base` with the fields that name a user's connection.
fn about(user: &Object, kind: &str, description: &str, tenant: &str, at: OffsetDateTime) -> Value {
    let mut record = base(kind, description, tenant, at);
    let identity = &user["identities"][0];
    let provider = identity["provider"].as_str().unwrap_or("auth0");
    record["connection"] = identity["connection"].clone();
    record["connection_id"] = "con_sandbox000000001".into();
    record["strategy"] = provider.into();
    record["strategy_type"] = strategy_type(provider).into();
    record
}

fn user_name(user: &Object) -> Value {
    ["username", "email", "phone_number"]
        .iter()
        .find_map(|key| user.get(*key))
        .cloned()
        .unwrap_or_else(|| "".into())
}

fn signed_up(user: &Object, sent: &Object, by: &Actor, tenant: &str, at: OffsetDateTime) -> Value {
    let client = if let Actor::Client(id) = by {
        id
    } else {
        APP_CLIENT
    };
    let mut body = masked(sent);
    body["client_id"] = client.into();
    body["tenant"] = tenant.into();
    body["connection"] = user["identities"][0]["connection"].clone();
    let mut record = about(user, "ss", "", tenant, at);
    record["client_id"] = client.into();
    record["client_name"] = "Listener".into();
    record["user_id"] = user["user_id"].clone();
    record["user_name"] = user_name(user);
    record["details"] = json!({"body": body});
    record
}

fn logged_in(user: &Object, tenant: &str, at: OffsetDateTime) -> Value {
    let mut record = about(user, "s", "Successful login", tenant, at);
    let stats = json!({"loginsCount": user.get("logins_count").cloned().unwrap_or(Value::Null)});
    record["client_id"] = APP_CLIENT.into();
    record["client_name"] = "Listener".into();
    record["hostname"] = format!("{tenant}.eu.auth0.com").into();
    record["user_id"] = user["user_id"].clone();
    record["user_name"] = user_name(user);
    record["details"] = json!({
        "prompts": [{"name": "prompt-authenticate", "stats": stats}],
        "completedAt": at.unix_timestamp() * 1000,
        "stats": stats,
    });
    record
}

/// Returns the record of the link in the verification mail (schema `sv`).
fn email_verified(user: &Object, tenant: &str, at: OffsetDateTime) -> Value {
    let said = "Your email was verified. You can continue using the application.";
    let mut record = about(user, "sv", said, tenant, at);
    record["client_id"] = APP_CLIENT.into();
    record["client_name"] = "Listener".into();
    record["user_id"] = user["user_id"].clone();
    record["user_name"] = user_name(user);
    record["details"] = json!({"email": user.get("email"), "title": "Email Verified"});
    record
}

/// Returns the record of a failed login: `fp` for a wrong password, `fu` for an unknown user.
pub(super) fn login_failed(
    kind: &str,
    user: Option<&Object>,
    name: &str,
    tenant: &str,
    at: OffsetDateTime,
) -> Value {
    let mut record = base(kind, "Wrong email or password.", tenant, at);
    record["client_id"] = APP_CLIENT.into();
    record["client_name"] = "Listener".into();
    record["connection"] = DATABASE.into();
    record["connection_id"] = "con_sandbox000000001".into();
    record["strategy"] = "auth0".into();
    record["strategy_type"] = "database".into();
    record["user_id"] = user.map_or_else(|| "".into(), |user| user["user_id"].clone());
    record["user_name"] = name.into();
    record["details"] = json!({"error": {"message": "Wrong email or password."}});
    record
}

/// Returns the record `sdu`. `user_id` and `user_name` are empty, as recorded; the description has the id without its prefix.
fn user_deleted(user: &Object, tenant: &str, at: OffsetDateTime) -> Value {
    let identity = &user["identities"][0];
    let own_id = identity["user_id"].as_str().unwrap_or_default();
    let mut record = about(user, "sdu", &format!("user_id: {own_id}"), tenant, at);
    record["user_id"] = "".into();
    record["user_name"] = "".into();
    record["details"] = json!({"body": {"tenant": tenant, "connection": identity["connection"]}});
    record
}

fn api_write(change: &Change, by: &Actor, scopes: &[String], tenant: &str, at: OffsetDateTime) -> Value {
    let whole = || Value::from(change.user().clone());
    let one = user_path(change.user_id());
    let (description, method, path, sent, status, answered) = match change {
        Change::Created { sent, .. } => (
            "Create a User",
            "post",
            "/api/v2/users".to_owned(),
            masked(sent),
            201,
            whole(),
        ),
        Change::Deleted { .. } => ("Delete a User", "delete", one, Value::Null, 204, json!({})),
        Change::Patched { sent, .. } => ("Update a User", "patch", one, masked(sent), 200, whole()),
        Change::Linked { user, sent, .. } => (
            "Link a User Account",
            "post",
            format!("{one}/identities"),
            masked(sent),
            201,
            user["identities"].clone(),
        ),
        Change::Unlinked { user, secondary } => (
            "Unlink a User Identity",
            "delete",
            identity_path(change.user_id(), secondary),
            Value::Null,
            200,
            user["identities"].clone(),
        ),
        // Neither is an API call.
        Change::LoggedIn { .. } | Change::EmailVerified { .. } => ("", "", one, Value::Null, 0, Value::Null),
    };
    let dashboard = *by == Actor::Dashboard;
    let (client, channel, actor) = match by {
        Actor::Client(id) => (id.as_str(), "api", json!({})),
        _ => (
            DASHBOARD_CLIENT,
            "https://manage.auth0.com/",
            json!({"user_id": DASHBOARD_ADMIN, "name": "Administrator", "email": "admin@example.com"}),
        ),
    };
    let mut record = base("sapi", description, tenant, at);
    record["client_id"] = client.into();
    record["client_name"] = "".into();
    record["user_id"] = if dashboard { DASHBOARD_ADMIN } else { "" }.into();
    record["details"] = json!({
        "request": {
            "method": method,
            "path": path,
            "query": {},
            "userAgent": "sandbox",
            "body": sent,
            "channel": channel,
            "ip": "203.0.113.7",
            "auth": {"user": actor, "strategy": "jwt", "credentials": {"scopes": scopes}},
        },
        "response": {"statusCode": status, "body": answered},
    });
    record
}

/// Returns a body as in records: without the password.
pub(super) fn masked(sent: &Object) -> Value {
    let mut shown = sent.clone();
    for (key, value) in &mut shown {
        if ["password", "client_secret", "client_assertion"].contains(&key.as_str()) {
            *value = "*****".into();
        }
    }
    shown.into()
}
