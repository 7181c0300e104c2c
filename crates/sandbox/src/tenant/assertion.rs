//! Verification of a client's assertion (`private_key_jwt`) by the token endpoint.
//!
//! Owns the registered public keys and the rules of Auth0's documentation (authenticate-with-private-key-jwt):
//! RS256, issuer and subject the client, audience the tenant with a slash at its end, a life of at most five minutes, one use,
//! ten seconds of difference between clocks. Auth0 also accepts RS384 and PS256, which no client here sends. Must never
//! believe the client in an assertion before its signature is checked.

use std::collections::HashMap;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use webpki::RawPublicKeyEntity;
use webpki::ring::RSA_PKCS1_2048_8192_SHA256;

/// Value of `client_assertion_type` (RFC 7523, 2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const LONGEST_LIFE: Duration = Duration::minutes(5);
const CLOCKS_MAY_DIFFER_BY: Duration = Duration::seconds(10);

/// A client's public key, as an application's credential at Auth0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// `SubjectPublicKeyInfo`, DER.
    spki: Vec<u8>,
    /// The key's id; an assertion that names a key must name this one.
    id: String,
}

impl PublicKey {
    /// Parses PEM (`BEGIN PUBLIC KEY`); `id` is the `kid` that Auth0 would generate.
    pub fn from_pem(pem: &str, id: impl Into<String>) -> anyhow::Result<Self> {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).context("no public key in PEM")?;
        RawPublicKeyEntity::try_from(&spki).context("no public key in the PEM")?;
        Ok(Self {
            spki: spki.to_vec(),
            id: id.into(),
        })
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let spki = SubjectPublicKeyInfoDer::from(self.spki.as_slice());
        RawPublicKeyEntity::try_from(&spki)
            .and_then(|key| key.verify_signature(RSA_PKCS1_2048_8192_SHA256, message, signature))
            .is_ok()
    }
}

/// Accepted assertions that are still valid: their ids, and when they expire.
pub(super) type Used = HashMap<(String, String), OffsetDateTime>;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    jti: String,
}

/// Returns the client that an assertion names, not verified yet.
pub(super) fn claimed_client(assertion: &str) -> Option<String> {
    Some(part::<Claims>(assertion.split('.').nth(1)?)?.sub)
}

/// Checks the assertion of a client with this key. Returns its id and when it expires, or its fault.
pub(super) fn check(
    assertion: &str,
    client: &str,
    key: &PublicKey,
    audience: &str,
    used: &Used,
    now: OffsetDateTime,
) -> Result<(String, OffsetDateTime), &'static str> {
    let malformed = "it is no JWT with the claims iss, sub, aud, exp and jti";
    let (signed, signature) = assertion.rsplit_once('.').ok_or(malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(malformed)?;
    let header: Header = part(header).ok_or(malformed)?;
    let claims: Claims = part(claims).ok_or(malformed)?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed)?;
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| malformed);
    let expires = at(claims.exp)?;
    if header.alg != "RS256" {
        return Err("its algorithm is not RS256");
    }
    if header.kid.is_some_and(|named| named != key.id) {
        return Err("it names a key that the client does not have");
    }
    if !key.has_signed(signed.as_bytes(), &signature) {
        return Err("its signature does not fit the client's key");
    }
    if claims.iss != client || claims.sub != client {
        return Err("its issuer and subject are not the client");
    }
    if claims.aud != audience {
        return Err("its audience is not this tenant");
    }
    if expires <= now - CLOCKS_MAY_DIFFER_BY {
        return Err("it has expired");
    }
    if expires > now + LONGEST_LIFE + CLOCKS_MAY_DIFFER_BY {
        return Err("it expires in more than 5 minutes");
    }
    for begins in [claims.iat, claims.nbf].into_iter().flatten() {
        if at(begins)? > now + CLOCKS_MAY_DIFFER_BY {
            return Err("it is from the future");
        }
    }
    if used.contains_key(&(client.to_owned(), claims.jti.clone())) {
        return Err("it was used before");
    }
    Ok((claims.jti, expires))
}

fn part<T: DeserializeOwned>(encoded: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}
