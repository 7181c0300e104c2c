//! `POST /oauth/token` with client credentials.
//!
//! Owns the decision about a token. Errors have the format `{"error","error_description"}`. Statuses and texts are not
//! recorded: they are from RFC 6749, 5.2, except for a wrong secret and a wrong audience, for which users of Auth0 report
//! `access_denied`. A client has either a secret or a key, since it has one authentication method at Auth0.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::assertion::{self, PublicKey, Used};
use super::calls::pairs;
use super::merge::Object;
use super::options::Proof;
use super::state::Clients;

/// The refusal of a token.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: u16,
    pub body: Value,
}

impl Refusal {
    fn new(status: u16, error: &str, description: impl Into<String>) -> Self {
        let description: String = description.into();
        Self {
            status,
            body: json!({"error": error, "error_description": description}),
        }
    }
}

/// Returns the request's fields, from JSON or from a form.
pub(super) fn fields(content_type: &str, body: &[u8]) -> Object {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        pairs(&String::from_utf8_lossy(body))
    } else {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// A request for a token, and the state for its decision.
pub(super) struct Request<'a> {
    pub fields: &'a Object,
    pub clients: &'a Clients,
    pub used: &'a Used,
    /// The tenant as the audience of assertions: `https://{host}/`.
    pub issuer: &'a str,
    /// The only accepted audience; `None` accepts every audience that ends like the Management API's.
    pub audience: Option<&'a str>,
    pub now: OffsetDateTime,
}

/// A granted token.
#[derive(Debug)]
pub(super) struct Accepted {
    pub client: String,
    /// The assertion's id and expiry, if there was one: it is not accepted again.
    pub assertion: Option<(String, OffsetDateTime)>,
}

/// Decides a request for a token.
pub(super) fn decide(request: &Request<'_>) -> Result<Accepted, Refusal> {
    match request.field("grant_type") {
        Some("client_credentials") => {}
        Some(other) => {
            return Err(Refusal::new(
                400,
                "unsupported_grant_type",
                format!("Unsupported grant type: {other}"),
            ));
        }
        None => {
            return Err(Refusal::new(
                400,
                "invalid_request",
                "Missing required parameter: grant_type",
            ));
        }
    }
    let unauthorized = || Refusal::new(401, "access_denied", "Unauthorized");
    let id = request.client_id().ok_or_else(unauthorized)?;
    let client = request.clients.get(&id).ok_or_else(unauthorized)?;
    let assertion = match &client.proof {
        Proof::Secret(secret) if request.field("client_secret") == Some(secret) => None,
        Proof::Secret(_) => return Err(unauthorized()),
        Proof::Key(key) => Some(request.check_assertion(&id, key)?),
    };
    let asked = request.field("audience").unwrap_or_default();
    let served = request
        .audience
        .map_or_else(|| asked.ends_with("/api/v2/"), |served| asked == served);
    if !served {
        let text = format!("Service not enabled within domain: {asked}");
        return Err(Refusal::new(403, "access_denied", text));
    }
    Ok(Accepted {
        client: id,
        assertion,
    })
}

impl Request<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    /// Returns the client's id. With an assertion, the request may omit it (RFC 7523, 3).
    fn client_id(&self) -> Option<String> {
        let named = self.field("client_id").map(str::to_owned);
        named.or_else(|| assertion::claimed_client(self.field("client_assertion")?))
    }

    fn check_assertion(&self, client: &str, key: &PublicKey) -> Result<(String, OffsetDateTime), Refusal> {
        let invalid = |what: &str| Refusal::new(401, "invalid_client", format!("Client assertion: {what}"));
        if self.field("client_assertion_type") != Some(assertion::TYPE) {
            return Err(invalid("none of the type that a client with a key has to send"));
        }
        let sent = self.field("client_assertion").unwrap_or_default();
        assertion::check(sent, client, key, self.issuer, self.used, self.now).map_err(invalid)
    }
}
