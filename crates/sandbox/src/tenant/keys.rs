//! The keys with which the tenant signs its users' tokens, and their public halves.
//!
//! Owns the current key and the previous one, which stays among the public keys until the next rotation. ES256 is our choice:
//! a tenant at Auth0 signs with RS256 by default, but ring, the only crypto library here, generates no RSA keys.
//! Must never expose a private half.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// A key pair and its name.
#[derive(Debug)]
struct Key {
    id: String,
    pair: EcdsaKeyPair,
}

/// The tenant's keys.
#[derive(Debug)]
pub(super) struct Keys {
    current: Key,
    before: Option<Key>,
    random: SystemRandom,
}

impl Keys {
    /// Returns one new key.
    pub(super) fn new() -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        Ok(Self {
            current: Key::new(&random)?,
            before: None,
            random,
        })
    }

    /// Replaces the signing key by a new one.
    pub(super) fn rotate(&mut self) -> anyhow::Result<()> {
        let next = Key::new(&self.random)?;
        self.before = Some(std::mem::replace(&mut self.current, next));
        Ok(())
    }

    /// Returns the public halves in the format of `/.well-known/jwks.json` (RFC 7517).
    pub(super) fn public(&self) -> Value {
        let keys: Vec<Value> = [Some(&self.current), self.before.as_ref()]
            .into_iter()
            .flatten()
            .map(Key::public)
            .collect();
        json!({"keys": keys})
    }

    /// Returns a signed token (RFC 7519) with these claims.
    pub(super) fn token(&self, claims: &Value) -> anyhow::Result<String> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.current.id});
        let signed = format!(
            "{}.{}",
            encoded(header.to_string().as_bytes()),
            encoded(claims.to_string().as_bytes())
        );
        let signature = self.current.pair.sign(&self.random, signed.as_bytes());
        let signature = signature.map_err(|_| anyhow::anyhow!("no randomness to sign a token with"))?;
        Ok(format!("{signed}.{}", encoded(signature.as_ref())))
    }
}

impl Key {
    fn new(random: &SystemRandom) -> anyhow::Result<Self> {
        let none = |_| anyhow::anyhow!("no randomness to make a key with");
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, random).map_err(none)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), random);
        let pair = pair.map_err(|why| anyhow::anyhow!("the key just made is refused: {why}"))?;
        let (x, _) = coordinates(&pair);
        // Any unique name is valid: part of the public half is used.
        let id = encoded(x).chars().take(21).collect();
        Ok(Self { id, pair })
    }

    fn public(&self) -> Value {
        let (x, y) = coordinates(&self.pair);
        json!({
            "kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": self.id,
            "x": encoded(x), "y": encoded(y),
        })
    }
}

/// Returns the coordinates of the uncompressed point, after its first byte (SEC 1, 2.3.3).
fn coordinates(pair: &EcdsaKeyPair) -> (&[u8], &[u8]) {
    pair.public_key().as_ref()[1..].split_at(32)
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
