//! The credential of the worker at Auth0: a secret, or a private key.
//!
//! Owns the choice between the two and the checks of a key. Must never show a secret or any part of a key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::sign::Signer;
use secrecy::SecretString;

use super::args::Auth0Args;
use super::check::Check;

const SECRET: &str = "AUTH0_CLIENT_SECRET";
const EXACTLY_ONE: &str = "exactly one of them: the application's secret, or its private key";
const KEY: &str = "an RSA private key of 2048 bits or more in PEM (PKCS#8 or PKCS#1, not encrypted)";

/// The configured credential of the application.
#[derive(Clone, Debug)]
pub enum ClientCredential {
    /// The client secret of the application.
    Secret(SecretString),
    /// A private key whose public half is stored at Auth0 (`private_key_jwt`).
    Key(ClientKey),
}

/// An RSA private key that signs with RS256.
#[derive(Clone)]
pub struct ClientKey {
    signer: Arc<dyn Signer>,
    id: Option<String>,
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl ClientKey {
    /// Reads the key from its file. `id`: its `kid` at Auth0.
    ///
    /// # Errors
    /// The fault of the file, as text; the text contains nothing of the file's content.
    pub fn read(file: &Path, id: Option<String>) -> Result<Self, String> {
        let der = PrivateKeyDer::from_pem_file(file).map_err(|error| match error {
            pem::Error::Io(error) => error.to_string(),
            pem::Error::NoItemsFound => "the file holds no such key".to_owned(),
            _ => "the file is not PEM".to_owned(),
        })?;
        let unusable = || "the key is of another kind, too short or damaged".to_owned();
        let key = any_supported_type(&der).map_err(|_| unusable())?;
        let signer = key
            .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
            .ok_or_else(unusable)?;
        Ok(Self {
            signer: signer.into(),
            id,
        })
    }

    /// Returns the key's id at Auth0, where one is configured.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the RS256 signature (RFC 7518, 3.3) of a message.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.signer.sign(message)
    }
}

impl ClientCredential {
    /// Checks that exactly one credential is set, and returns it.
    pub(super) fn check(args: &Auth0Args, check: &mut Check) -> Self {
        let set = |value: &Option<String>| {
            let value = value.as_deref().map(str::trim);
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let secret = check.secret(
            SECRET,
            args.auth0_client_secret.as_deref(),
            args.auth0_client_secret_file.as_deref(),
        );
        let (secret, file) = (set(&secret), set(&args.auth0_client_key_file));
        let id = set(&args.auth0_client_key_id);
        if let (Some(id), None) = (&id, &file) {
            check.fault(
                "AUTH0_CLIENT_KEY_ID",
                id,
                "this setting only together with AUTH0_CLIENT_KEY_FILE",
            );
        }
        let none = || Self::Secret(SecretString::default());
        match (secret, file) {
            (Some(secret), None) => Self::Secret(secret.into()),
            (None, Some(file)) => ClientKey::read(Path::new(&file), id).map_or_else(
                |why| {
                    check.fault("AUTH0_CLIENT_KEY_FILE", &file, &format!("{KEY}; {why}"));
                    none()
                },
                Self::Key,
            ),
            (None, None) if check.is_faulty(SECRET) => none(),
            (None, None) => {
                check.contradiction(
                    "AUTH0_CLIENT_SECRET, AUTH0_CLIENT_KEY_FILE",
                    "neither is set",
                    EXACTLY_ONE,
                );
                none()
            }
            (Some(_), Some(_)) => {
                let of_file = set(&args.auth0_client_secret_file).map_or("", |_| "_FILE");
                let settings = format!("{SECRET}{of_file}, AUTH0_CLIENT_KEY_FILE");
                check.contradiction(&settings, "both are set", EXACTLY_ONE);
                none()
            }
        }
    }
}
