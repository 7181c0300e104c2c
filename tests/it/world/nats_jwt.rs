//! JWTs of NATS from its own tools: an operator, one account with JetStream, users of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// An operator with one account.
pub(crate) struct Operator {
    key: KeyPair,
    account: KeyPair,
    system: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Self {
        Self {
            key: KeyPair::new_operator(),
            account: KeyPair::new_account(),
            system: KeyPair::new_account(),
        }
    }

    /// The configuration of a server for them.
    pub(crate) fn config(&self) -> String {
        let operator = jwt(
            &self.key,
            &self.key,
            None,
            &json!({"type": "operator", "version": 2}),
        );
        let mut limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        });
        let account = |key: &KeyPair, limits: &Value| {
            let claims = json!({"type": "account", "version": 2, "limits": limits});
            format!("{}: {}", key.public_key(), jwt(&self.key, key, None, &claims))
        };
        let system = account(&self.system, &limits);
        for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
            limits[limit] = (-1).into();
        }
        format!(
            "operator: {operator}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n{system}\n{}\n}}\n",
            self.system.public_key(),
            account(&self.account, &limits),
        )
    }

    /// The credentials file of a new user, with an expiry or without.
    pub(crate) fn user(&self, lasts: Option<Duration>) -> String {
        let key = KeyPair::new_user();
        let claims = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let jwt = jwt(&self.account, &key, lasts, &claims);
        let seed = key.seed().expect("a seed");
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

fn jwt(issuer: &KeyPair, subject: &KeyPair, lasts: Option<Duration>, nats: &Value) -> String {
    #[expect(clippy::disallowed_methods, reason = "the server compares with its own clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let mut claims = json!({
        "jti": subject.public_key(), "iat": now.as_secs(), "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": "test", "nats": nats,
    });
    if let Some(lasts) = lasts {
        claims["exp"] = (now + lasts).as_secs().into();
    }
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        encoded(&json!({"typ": "JWT", "alg": "ed25519-nkey"})),
        encoded(&claims)
    );
    let signature = issuer.sign(signed.as_bytes()).expect("signed");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
