//! The client's assertion of who it is: a signed JWT that takes the place of its secret (`private_key_jwt`).
//!
//! Owns its header and claims (RFC 7523, 3; Auth0 docs, authenticate-with-private-key-jwt). Must never make one
//! that could be used for long, twice or elsewhere: it lives a minute, has an id of its own and names whom it
//! is for.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::config::ClientKey;

/// Value of `client_assertion_type` (RFC 7523, 2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Auth0 takes up to five minutes and advises one.
const LIFE: Duration = Duration::minutes(1);

/// An assertion for one request. `issuer`: the tenant's, `https://{domain}/` with the slash at its end.
pub(super) fn sign(
    key: &ClientKey,
    client_id: &str,
    issuer: &str,
    now: OffsetDateTime,
) -> Result<String, rustls::Error> {
    let mut header = json!({"alg": "RS256", "typ": "JWT"});
    if let Some(id) = key.id() {
        header["kid"] = id.into();
    }
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "iat": now.unix_timestamp(),
        "exp": (now + LIFE).unix_timestamp(),
        "jti": Uuid::now_v7().to_string(),
    });
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = encode(&key.sign(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}"))
}
