//! The client's assertion: a signed JWT that replaces its secret (`private_key_jwt`).
//!
//! Owns its header and claims (RFC 7523, 3; Auth0 docs, authenticate-with-private-key-jwt). Must never make an assertion
//! that is valid for long, twice or at another tenant: it ends within Auth0's five minutes, has a unique id and names its
//! tenant.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::config::ClientKey;

/// Value of `client_assertion_type` (RFC 7523, 2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Time by which an assertion is dated back: Auth0 refuses one from the future, and this host's clock may be ahead of
/// Auth0's.
const DATED_BACK: Duration = Duration::seconds(30);
/// Life of an assertion. Auth0 accepts an end up to five minutes ahead of its own clock. The minute in between allows for a
/// clock of ours that is ahead, and the rest for one that is behind.
const LIFE: Duration = Duration::minutes(4);

/// Returns an assertion for one request. `issuer`: the tenant as `https://{domain}/`, with the slash at its end.
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
    let claims = claims(client_id, issuer, now);
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = encode(&key.sign(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}"))
}

fn claims(client_id: &str, issuer: &str, now: OffsetDateTime) -> Value {
    json!({
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "iat": (now - DATED_BACK).unix_timestamp(),
        "exp": (now + LIFE).unix_timestamp(),
        "jti": Uuid::now_v7().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// Auth0 docs, authenticate-with-private-key-jwt.
    const AUTH0_ALLOWS_AHEAD_S: i64 = 300;
    const AUTH0_ALLOWS_SKEW_S: i64 = 10;

    #[test]
    fn half_a_minute_of_drift_either_way_does_no_harm() {
        let now = datetime!(2026-11-28 12:00 UTC);
        for drift in [-75, -30, 0, 30, 35] {
            let claims = claims("c", "https://t/", now + Duration::seconds(drift));
            let at = |name: &str| claims[name].as_i64().unwrap() - now.unix_timestamp();
            assert!(at("iat") <= AUTH0_ALLOWS_SKEW_S, "{drift}: {claims}");
            assert!(
                (1..=AUTH0_ALLOWS_AHEAD_S).contains(&at("exp")),
                "{drift}: {claims}"
            );
            assert!(at("exp") - at("iat") <= AUTH0_ALLOWS_AHEAD_S, "{drift}: {claims}");
        }
    }
}
