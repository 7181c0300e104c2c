//! The credential of the worker at Auth0: a secret, or a private key.
//!
//! Owns the choice between the two and the checks of a key. Must never show a secret or any part of a key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::sign::Signer;
use secrecy::SecretString;

use super::check::{Check, set};

const SECRET: &str = "AUTH0_CLIENT_SECRET";
const EXACTLY_ONE: &str = "exactly one of them: the application's secret, or its private key";
const KEY: &str = "an RSA private key of 2048 bits or more in PEM (PKCS#8 or PKCS#1, not encrypted)";

/// Settings of the credential.
#[derive(Args, Clone, Debug)]
pub struct CredentialArgs {
    /// The application's client secret, unless a key file is set; in the environment only, where other users cannot read it
    #[arg(long, env = "AUTH0_CLIENT_SECRET", hide_env_values = true)]
    pub auth0_client_secret: Option<String>,
    /// Instead of `AUTH0_CLIENT_SECRET`: a file that holds it
    #[arg(long, env = "AUTH0_CLIENT_SECRET_FILE")]
    pub auth0_client_secret_file: Option<String>,
    /// Instead of the secret: a file with the RSA private key (PEM) that signs assertions (`private_key_jwt`)
    #[arg(long, env = "AUTH0_CLIENT_KEY_FILE")]
    pub auth0_client_key_file: Option<String>,
    /// The key's id at Auth0 (`kid`), where the application has several keys
    #[arg(long, env = "AUTH0_CLIENT_KEY_ID")]
    pub auth0_client_key_id: Option<String>,
}

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

impl CredentialArgs {
    /// Checks that exactly one credential is set, and returns it.
    pub(super) fn check(&self, check: &mut Check) -> ClientCredential {
        let set = |value: &Option<String>| set(value.as_deref()).map(str::to_owned);
        let secret = check.secret(
            SECRET,
            self.auth0_client_secret.as_deref(),
            self.auth0_client_secret_file.as_deref(),
        );
        let (secret, file) = (set(&secret), set(&self.auth0_client_key_file));
        let id = set(&self.auth0_client_key_id);
        if let (Some(id), None) = (&id, &file) {
            check.fault(
                "AUTH0_CLIENT_KEY_ID",
                id,
                "this setting only together with AUTH0_CLIENT_KEY_FILE",
            );
        }
        let none = || ClientCredential::Secret(SecretString::default());
        match (secret, file) {
            (Some(secret), None) => ClientCredential::Secret(secret.into()),
            (None, Some(file)) => ClientKey::read(Path::new(&file), id).map_or_else(
                |why| {
                    check.fault("AUTH0_CLIENT_KEY_FILE", &file, &format!("{KEY}; {why}"));
                    none()
                },
                ClientCredential::Key,
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
                let of_file = set(&self.auth0_client_secret_file).map_or("", |_| "_FILE");
                let settings = format!("{SECRET}{of_file}, AUTH0_CLIENT_KEY_FILE");
                check.contradiction(&settings, "both are set", EXACTLY_ONE);
                none()
            }
        }
    }
}
