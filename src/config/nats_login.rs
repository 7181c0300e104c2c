//! The worker's login at NATS: with a user, a token, an nkey or a credentials file.
//!
//! Owns which of them is configured, and the proof that the worker sends. Files are read at each connection, so that they can
//! be replaced while the worker runs. Must never show a secret or any part of a key.

use std::path::{Path, PathBuf};

use clap::Args;
use nkeys::KeyPair;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

use super::check::{Check, set};
use super::secret::{self, SecretSource};

const ONE: &str = "one way to log in; unset the others";

/// Settings of the worker's login at NATS.
#[derive(Args, Clone, Debug)]
pub struct NatsLoginArgs {
    /// The user at NATS
    #[arg(long, env = "NATS_USER")]
    pub nats_user: Option<String>,
    /// The password of `NATS_USER`
    #[arg(long, env = "NATS_PASSWORD", hide_env_values = true)]
    pub nats_password: Option<String>,
    /// Instead of `NATS_PASSWORD`: a file that holds it
    #[arg(long, env = "NATS_PASSWORD_FILE")]
    pub nats_password_file: Option<String>,
    /// Instead of a user: the token at NATS
    #[arg(long, env = "NATS_TOKEN", hide_env_values = true)]
    pub nats_token: Option<String>,
    /// Instead of `NATS_TOKEN`: a file that holds it
    #[arg(long, env = "NATS_TOKEN_FILE")]
    pub nats_token_file: Option<String>,
    /// Instead of a user: a file with the seed of an nkey (`SU…`)
    #[arg(long, env = "NATS_NKEY_SEED_FILE")]
    pub nats_nkey_seed_file: Option<String>,
    /// Instead of a user: a NATS credentials file (.creds)
    #[arg(long, env = "NATS_CREDENTIALS_FILE")]
    pub nats_credentials_file: Option<String>,
}

/// The worker's login at NATS.
#[derive(Clone, Debug)]
pub enum NatsLogin {
    /// No login, or by the client certificate alone.
    None,
    /// With a user and a password.
    User(String, SecretSource),
    /// With a token.
    Token(SecretSource),
    /// With the seed of an nkey.
    NkeySeed(PathBuf),
    /// With a credentials file: a JWT and its seed.
    Credentials(PathBuf),
}

/// The proof that the worker sends to a server; each kind of login uses some of its parts.
#[derive(Default)]
pub struct NatsProof {
    /// User and password.
    pub user: Option<(String, SecretString)>,
    /// Token.
    pub token: Option<SecretString>,
    /// JWT of the user.
    pub jwt: Option<String>,
    /// Public half of the nkey.
    pub nkey: Option<String>,
    /// Signature of the server's nonce.
    pub signature: Option<Vec<u8>>,
}

impl NatsLoginArgs {
    /// Checks that at most one login is set, and returns it; `users` are the users from the servers' URLs.
    pub(super) fn check(&self, users: Vec<SecretString>, check: &mut Check) -> NatsLogin {
        let user = set(self.nats_user.as_deref());
        let password = check.kept(
            "NATS_PASSWORD",
            self.nats_password.as_deref(),
            self.nats_password_file.as_deref(),
        );
        let token = check.kept(
            "NATS_TOKEN",
            self.nats_token.as_deref(),
            self.nats_token_file.as_deref(),
        );
        let faulty = check.is_faulty("NATS_PASSWORD");
        if user.is_some() && password.is_none() && !faulty {
            let expected = "both: NATS_USER, and NATS_PASSWORD or NATS_PASSWORD_FILE";
            check.contradiction("NATS_USER, NATS_PASSWORD", "only NATS_USER is set", expected);
        }
        if user.is_none() && (password.is_some() || faulty) {
            let expected = "both: NATS_USER, and NATS_PASSWORD or NATS_PASSWORD_FILE";
            check.contradiction("NATS_USER, NATS_PASSWORD", "only the password is set", expected);
        }
        let file = |path: &Option<String>| set(path.as_deref()).map(PathBuf::from);
        let ways = [
            ("NATS_URL", of_urls(users, check)),
            (
                "NATS_USER",
                user.zip(password)
                    .map(|(user, password)| NatsLogin::User(user.to_owned(), password)),
            ),
            ("NATS_TOKEN", token.map(NatsLogin::Token)),
            (
                "NATS_NKEY_SEED_FILE",
                file(&self.nats_nkey_seed_file).map(NatsLogin::NkeySeed),
            ),
            (
                "NATS_CREDENTIALS_FILE",
                file(&self.nats_credentials_file).map(NatsLogin::Credentials),
            ),
        ];
        let mut set = ways
            .into_iter()
            .filter_map(|(setting, login)| Some((setting, login?)));
        let Some((setting, login)) = set.next() else {
            return NatsLogin::None;
        };
        let others: Vec<&str> = set.map(|(setting, _)| setting).collect();
        if !others.is_empty() {
            let settings = format!("{setting}, {}", others.join(", "));
            check.contradiction(&settings, "each of them is a way to log in", ONE);
        }
        if let (Some((file, expected)), Err(why)) = (login.file(), login.proof(b"")) {
            check.fault(
                setting,
                &file.display().to_string(),
                &format!("{expected}; {why}"),
            );
        }
        login
    }
}

impl NatsLogin {
    /// Returns whether the login sends the secret itself to the server.
    pub(super) fn is_readable(&self) -> bool {
        matches!(self, Self::User(..) | Self::Token(_))
    }

    /// Returns the file that must be parsed, and its expected content.
    fn file(&self) -> Option<(&Path, &'static str)> {
        match self {
            Self::NkeySeed(file) => Some((file, "a file with the seed of an nkey of a user (SU…)")),
            Self::Credentials(file) => Some((file, "a credentials file (.creds)")),
            _ => None,
        }
    }

    /// Returns the proof for a server that sent this nonce. Reads the files again.
    ///
    /// # Errors
    /// A file cannot be read, or its content is invalid; the text names setting and file, and nothing of its content.
    pub fn prove(&self, nonce: &[u8]) -> Result<NatsProof, String> {
        self.proof(nonce).map_err(|why| match self {
            Self::User(_, SecretSource::File(file)) => {
                format!("NATS_PASSWORD_FILE {}: {why}", file.display())
            }
            Self::Token(SecretSource::File(file)) => format!("NATS_TOKEN_FILE {}: {why}", file.display()),
            Self::NkeySeed(file) => format!("NATS_NKEY_SEED_FILE {}: {why}", file.display()),
            Self::Credentials(file) => format!("NATS_CREDENTIALS_FILE {}: {why}", file.display()),
            _ => why,
        })
    }

    fn proof(&self, nonce: &[u8]) -> Result<NatsProof, String> {
        let mut proof = NatsProof::default();
        match self {
            Self::None => {}
            Self::User(user, password) => proof.user = Some((user.clone(), password.read()?)),
            Self::Token(token) => proof.token = Some(token.read()?),
            Self::NkeySeed(file) => {
                let key = key(&secret::read(file)?)?;
                proof.nkey = Some(key.public_key());
                proof.signature = Some(sign(&key, nonce)?);
            }
            Self::Credentials(file) => {
                let text = secret::read(file)?;
                proof.jwt = Some(
                    behind(&text, "USER JWT")
                        .ok_or("the file holds no JWT of a user")?
                        .to_owned(),
                );
                let seed = behind(&text, "NKEY SEED").ok_or("the file holds no seed")?;
                proof.signature = Some(sign(&key(seed)?, nonce)?);
            }
        }
        Ok(proof)
    }
}

/// Returns the user, or token, that the URLs name.
fn of_urls(users: Vec<SecretString>, check: &mut Check) -> Option<NatsLogin> {
    let mut users = users.into_iter();
    let first = users.next()?;
    if users.any(|other| other.expose_secret() != first.expose_secret()) {
        let expected = "the same user at all servers; NATS_USER and NATS_PASSWORD hold for all of them";
        check.contradiction("NATS_URL", "the servers have different users", expected);
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let kept = |text: &str| SecretSource::Value(decoded(text).into());
    Some(match first.expose_secret().split_once(':') {
        Some((user, password)) => NatsLogin::User(decoded(user), kept(password)),
        None => NatsLogin::Token(kept(first.expose_secret())),
    })
}

/// Returns the key whose seed is one line of the text.
fn key(text: &str) -> Result<KeyPair, String> {
    let mut lines = text.lines().map(str::trim);
    let seed = lines
        .find(|line| line.starts_with("SU"))
        .ok_or("the file holds no seed of a user")?;
    KeyPair::from_seed(seed).map_err(|_| "the seed is damaged".to_owned())
}

fn sign(key: &KeyPair, nonce: &[u8]) -> Result<Vec<u8>, String> {
    key.sign(nonce).map_err(|_| "the seed cannot sign".to_owned())
}

/// Returns the line after `-----BEGIN … <what>-----`.
fn behind<'t>(text: &'t str, what: &str) -> Option<&'t str> {
    let begins = |line: &&str| line.contains("BEGIN") && line.contains(what);
    let mut lines = text
        .lines()
        .map(str::trim)
        .skip_while(|line| !begins(line))
        .skip(1);
    lines.find(|line| !line.is_empty())
}
