//! Access tokens of users, of any bytes: only a token that a key of the tenant has signed is believed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rolekeeper_fuzz::{Memory, fuzz_within};
use serde_json::{Value, json};

use super::*;
use crate::auth0::jwks;
use crate::metrics::Metrics;

const ISSUER: &str = "https://music.eu.auth0.com/";
const AUDIENCE: &str = "https://api.example.com";
/// Text in the corpus in place of a token that is good.
const GOOD: &str = "TOKEN";

/// A key of the tenant, and the verifier that knows it.
struct Tenants {
    key: EcdsaKeyPair,
    bearer: Bearer,
}

impl Tenants {
    fn new() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap();
        let options = BearerOptions {
            domain: "http://127.0.0.1:9".to_owned(),
            issuers: vec![ISSUER.to_owned()],
            audience: AUDIENCE.to_owned(),
            ca_file: None,
            cool_down: Duration::from_hours(1),
        };
        let (bearer, fetcher) = Bearer::new(options, Arc::new(Metrics::new(&[]))).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
        let keys = json!({"keys": [{"kty": "EC", "kid": "k", "crv": "P-256", "x": x, "y": y}]});
        fetcher.keep(jwks::read(keys.to_string().as_bytes()).unwrap());
        Self { key, bearer }
    }

    fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The result for a header; no key is fetched for it.
    fn caller(&self, authorization: &[u8]) -> Result<Caller, Refusal> {
        let caller = self.bearer.caller(authorization).now_or_never();
        caller.expect("the keys are known")
    }
}

/// Base64 and JSON of both parts.
const MEMORY: Memory = Memory {
    bytes: 128 << 10,
    each: 512,
};

#[test]
fn fuzz_authorization_headers() {
    let tenants = Tenants::new();
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "auth0|ann", "exp": 4_102_444_800_u64});
    let good = tenants.sign(br#"{"alg":"ES256","kid":"k"}"#, claims.to_string().as_bytes());
    fuzz_within("authorization", MEMORY, |line| {
        let sent = String::from_utf8_lossy(line).replace(GOOD, &good);
        if let Ok(caller) = tenants.caller(sent.as_bytes()) {
            let (scheme, token) = sent.split_at(7);
            assert!(
                scheme.eq_ignore_ascii_case("bearer ") && token.trim_ascii() == good,
                "{sent}"
            );
            assert_eq!(caller.user.as_str(), "auth0|ann");
        }
    });
}

#[test]
fn fuzz_signed_tokens() {
    let tenants = Tenants::new();
    fuzz_within("signed_tokens", MEMORY, |parts| {
        let mut parts = parts.splitn(2, |byte| *byte == b'\n');
        let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let sent = format!("Bearer {}", tenants.sign(header, claims));
        let Ok(caller) = tenants.caller(sent.as_bytes()) else {
            return;
        };
        let [header, claims] =
            [header, claims].map(|part| serde_json::from_slice::<Value>(part).expect("JSON"));
        assert_eq!((&header["alg"], &header["kid"]), (&json!("ES256"), &json!("k")));
        assert_eq!(header.get("crit"), None);
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&json!(ISSUER), &json!(caller.user.as_str()))
        );
        let audience = json!(AUDIENCE);
        let aud = &claims["aud"];
        assert!(
            *aud == audience || aud.as_array().is_some_and(|all| all.contains(&audience)),
            "{aud}"
        );
        assert!(
            claims["exp"].as_f64().is_some_and(|exp| exp > 1.7e9),
            "{}",
            claims["exp"]
        );
        assert!(!caller.user.as_str().ends_with("@clients"));
        assert_eq!(
            caller.may("read:app"),
            claims["scope"]
                .as_str()
                .is_some_and(|scope| { scope.split_ascii_whitespace().any(|one| one == "read:app") })
        );
    });
}
