//! The tenant's call log and the histories of its users, which the oracle reads.
//!
//! Owns the routing of a request to an endpoint, the call log's entries and the users' histories.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::errors::ApiError;

/// All characters except the unreserved ones of RFC 3986, almost as in `encodeURIComponent`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Path of the files of users exports.
pub(super) const FILES: &str = "/users-exports/";

/// The tenant's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /oauth/token`
    Token,
    /// `POST /dbconnections/signup`
    SignUp,
    /// `GET /.well-known/jwks.json`
    Keys,
    /// `GET /.well-known/openid-configuration`
    Discovery,
    /// `GET /api/v2/users`
    ListUsers,
    /// `POST /api/v2/users`
    CreateUser,
    /// `GET /api/v2/users/{id}`
    ReadUser,
    /// `PATCH /api/v2/users/{id}`
    PatchUser,
    /// `DELETE /api/v2/users/{id}`
    DeleteUser,
    /// `POST /api/v2/users/{id}/identities`
    LinkIdentity,
    /// `DELETE /api/v2/users/{id}/identities/{provider}/{user_id}`
    UnlinkIdentity,
    /// `GET /api/v2/logs`
    ReadLogs,
    /// `GET /api/v2/logs/{id}`
    ReadLog,
    /// `POST /api/v2/jobs/users-exports`
    ExportUsers,
    /// `GET /api/v2/jobs/{id}`
    ReadJob,
    /// The file of a users export, at an address that the job shows.
    ExportFile,
    /// Any other path; the response is 404.
    Other,
}

/// Returns the endpoint of a request, and the user it names. The id is decoded once.
pub(super) fn route(method: &str, path: &str) -> Result<(Endpoint, Option<String>), ApiError> {
    let one_user = path
        .strip_prefix("/api/v2/users/")
        .filter(|id| !id.is_empty() && !id.contains('/'));
    if method == "GET" && log_id(path).is_some() {
        return Ok((Endpoint::ReadLog, None));
    }
    if method == "GET" && job_id(path).is_some() {
        return Ok((Endpoint::ReadJob, None));
    }
    if method == "GET" && path.starts_with(FILES) {
        return Ok((Endpoint::ExportFile, None));
    }
    if let Some((id, rest)) = of_identities(path) {
        let endpoint = match (method, rest) {
            ("POST", "") => Endpoint::LinkIdentity,
            ("DELETE", rest) if identity(path).is_some() && !rest.is_empty() => Endpoint::UnlinkIdentity,
            _ => return Ok((Endpoint::Other, None)),
        };
        return Ok((endpoint, Some(decoded(id)?)));
    }
    let endpoint = match (method, path, one_user) {
        ("POST", "/oauth/token", _) => Endpoint::Token,
        ("POST", "/dbconnections/signup", _) => Endpoint::SignUp,
        ("GET", "/.well-known/jwks.json", _) => Endpoint::Keys,
        ("GET", "/.well-known/openid-configuration", _) => Endpoint::Discovery,
        ("GET", "/api/v2/users", _) => Endpoint::ListUsers,
        ("GET", "/api/v2/logs", _) => Endpoint::ReadLogs,
        ("POST", "/api/v2/users", _) => Endpoint::CreateUser,
        ("POST", "/api/v2/jobs/users-exports", _) => Endpoint::ExportUsers,
        ("GET", _, Some(_)) => Endpoint::ReadUser,
        ("PATCH", _, Some(_)) => Endpoint::PatchUser,
        ("DELETE", _, Some(_)) => Endpoint::DeleteUser,
        _ => return Ok((Endpoint::Other, None)),
    };
    Ok((endpoint, one_user.map(decoded).transpose()?))
}

fn decoded(id: &str) -> Result<String, ApiError> {
    let id = percent_decode_str(id).decode_utf8();
    let id = id.map_err(|_| ApiError::new(400, Some("invalid_uri"), "The user id is not UTF-8."))?;
    Ok(id.into_owned())
}

/// Splits a path of a user's identities into the user's id, as sent, and the rest behind `identities`.
fn of_identities(path: &str) -> Option<(&str, &str)> {
    let (id, rest) = path.strip_prefix("/api/v2/users/")?.split_once('/')?;
    let rest = rest.strip_prefix("identities")?;
    (!id.is_empty() && (rest.is_empty() || rest.starts_with('/'))).then_some((id, rest))
}

/// Returns provider and id of the identity that a path names.
pub(super) fn identity(path: &str) -> Option<(String, String)> {
    let (_, rest) = of_identities(path)?;
    let (provider, id) = rest.strip_prefix('/')?.split_once('/')?;
    let named = !provider.is_empty() && !id.is_empty() && !id.contains('/');
    let both = (decoded(provider).ok()?, decoded(id).ok()?);
    named.then_some(both)
}

/// Returns the id of the log record that a path names.
pub(super) fn log_id(path: &str) -> Option<&str> {
    path.strip_prefix("/api/v2/logs/")
        .filter(|id| !id.is_empty() && !id.contains('/'))
}

/// Returns the id of the job that a path names.
pub(super) fn job_id(path: &str) -> Option<&str> {
    path.strip_prefix("/api/v2/jobs/")
        .filter(|id| !id.is_empty() && !id.contains('/'))
}

/// Returns the path of one user as clients and records write it: `/api/v2/users/auth0%7Cabc`.
pub(super) fn user_path(id: &str) -> String {
    format!("/api/v2/users/{}", utf8_percent_encode(id, ENCODED))
}

/// Returns the path of one identity of a user: `/api/v2/users/auth0%7Cabc/identities/google-oauth2/1`.
pub(super) fn identity_path(id: &str, of: &Map<String, Value>) -> String {
    let identity = &of["identities"][0];
    let part = |name: &str| {
        let text = identity[name].as_str().unwrap_or_default();
        utf8_percent_encode(text, ENCODED).to_string()
    };
    format!(
        "{}/identities/{}/{}",
        user_path(id),
        part("provider"),
        part("user_id")
    )
}

/// Returns the pairs of a query or of a form, decoded; a `+` is a space.
pub(super) fn pairs(text: &str) -> Map<String, Value> {
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let split = text.split('&').filter(|pair| !pair.is_empty());
    split
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decode(k), decode(v).into()))
        .collect()
}

/// One request over HTTP. The log has the order in which the tenant handled the requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When the tenant handled it.
    pub at: OffsetDateTime,
    /// The calling client, identified by its token or, at `/oauth/token`, by the id in the request.
    pub client: Option<String>,
    /// `GET`, `PATCH` …
    pub method: String,
    /// Path as sent, with the query.
    pub path: String,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The user in the path, decoded; for `POST /api/v2/users` the created user.
    pub user_id: Option<String>,
    /// The status of the response, or `None` where the connection was reset instead.
    pub status: Option<u16>,
    /// The sent body, with secrets and passwords masked; text that is not JSON as a shortened string.
    pub body: Option<Value>,
    /// Whether it changed the tenant's state.
    pub applied: bool,
    /// The trace of which the client said that the request belongs to it: the header `traceparent`.
    pub traceparent: Option<String>,
    /// The name of its fault, if any.
    pub fault: Option<&'static str>,
}

/// The author of a change of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A client of the Management API, by its id.
    Client(String),
    /// A person in the Dashboard.
    Dashboard,
    /// The user, by sign-up, login or deletion.
    User,
    /// A source without a log record, such as an Action or the initial data.
    Unrecorded,
}

/// A user after one change.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// When it happened.
    pub at: OffsetDateTime,
    /// Its author.
    pub by: Actor,
    /// `app_metadata` afterwards; `None` without one or when the user is deleted.
    pub app_metadata: Option<Value>,
    /// Whether the change was the user's deletion.
    pub deleted: bool,
}

impl Endpoint {
    /// Returns whether it belongs to the Management API, whose calls need a token and count for its rate limit.
    pub(super) fn is_managing(self) -> bool {
        !matches!(
            self,
            Self::Token | Self::SignUp | Self::Keys | Self::Discovery | Self::ExportFile
        )
    }
}

impl Version {
    /// Returns `app_metadata.roles` afterwards, if present.
    #[must_use]
    pub fn roles(&self) -> Option<&Value> {
        self.app_metadata.as_ref()?.get("roles")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_decoded_once() {
        let table = [
            ("/api/v2/users/auth0%7Cabc", "auth0|abc"),
            ("/api/v2/users/auth0|abc", "auth0|abc"),
            (
                "/api/v2/users/samlp%7Cacme%7Cme%40acme.org",
                "samlp|acme|me@acme.org",
            ),
            ("/api/v2/users/auth0%257Cabc", "auth0%7Cabc"),
            ("/api/v2/users/auth0%7Ca+b%20c%2Fd", "auth0|a+b c/d"),
        ];
        for (path, id) in table {
            assert_eq!(
                route("GET", path).unwrap(),
                (Endpoint::ReadUser, Some(id.to_owned()))
            );
            assert_eq!(
                route("PATCH", &user_path(id)).unwrap(),
                (Endpoint::PatchUser, Some(id.to_owned()))
            );
        }
        let unlinked = "/api/v2/users/auth0%7Ca/identities/samlp/acme%7Cme%40acme.org";
        assert_eq!(
            (route("DELETE", unlinked).unwrap(), identity(unlinked)),
            (
                (Endpoint::UnlinkIdentity, Some("auth0|a".to_owned())),
                Some(("samlp".to_owned(), "acme|me@acme.org".to_owned()))
            )
        );
        assert_eq!(user_path("auth0|abc"), "/api/v2/users/auth0%7Cabc");
        assert!(route("GET", "/api/v2/users/%ff").is_err());
        for (method, path) in [
            ("GET", "/api/v2/users/"),
            ("GET", "/api/v2/users/a/roles"),
            ("PUT", "/api/v2/users/a"),
            ("GET", "/api/v2/users/a/identities"),
            ("DELETE", "/api/v2/users/a/identities"),
            ("DELETE", "/api/v2/users/a/identities/auth0"),
        ] {
            assert_eq!(route(method, path).unwrap(), (Endpoint::Other, None));
        }
    }
}
