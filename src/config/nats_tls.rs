//! TLS of the connection to NATS.
//!
//! Owns when it is required, and whether certificates and key are usable. The files are read at each connection. Must never
//! show any part of a key.

use std::path::{Path, PathBuf};

use clap::Args;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::check::{Check, set};

const CERTIFICATE: &str = "NATS_CLIENT_CERTIFICATE_FILE";
const KEY: &str = "NATS_CLIENT_KEY_FILE";
const A_KEY: &str = "the private key (PEM, not encrypted) of NATS_CLIENT_CERTIFICATE_FILE";

/// Settings of TLS of the connection to NATS.
#[derive(Args, Clone, Debug)]
pub struct NatsTlsArgs {
    /// `auto`: as the server requires; `require`: never without TLS; `first`: TLS before the server's greeting
    /// (`handshake_first`). A CA file, a client certificate and `tls://` require TLS too
    #[arg(long, env = "NATS_TLS", default_value = "auto")]
    pub nats_tls: String,
    /// A file of certificate authorities (PEM) to trust instead of the system's
    #[arg(long, env = "NATS_CA_FILE")]
    pub nats_ca_file: Option<String>,
    /// A file with the certificate (PEM) that the worker shows to the server; needs its key
    #[arg(long, env = "NATS_CLIENT_CERTIFICATE_FILE")]
    pub nats_client_certificate_file: Option<String>,
    /// The file of that certificate's private key (PEM)
    #[arg(long, env = "NATS_CLIENT_KEY_FILE")]
    pub nats_client_key_file: Option<String>,
}

/// TLS of the connection to NATS.
#[derive(Clone, Debug)]
pub struct NatsTls {
    /// Whether a connection without TLS is refused.
    pub required: bool,
    /// Whether the TLS handshake comes before the server's greeting.
    pub first: bool,
    /// File of certificate authorities, where they replace the system's.
    pub ca_file: Option<PathBuf>,
    /// The worker's certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl NatsTlsArgs {
    /// Checks the settings. `by_url`: a server's URL requires TLS.
    pub(super) fn check(&self, by_url: bool, check: &mut Check) -> NatsTls {
        let words = [
            ("auto", (false, false)),
            ("require", (true, false)),
            ("first", (true, true)),
        ];
        let word = match self.nats_tls.trim() {
            "" => "auto",
            word => word,
        };
        let (required, first) = check.word("NATS_TLS", word, &words);
        let ca_file = set(self.nats_ca_file.as_deref()).map(PathBuf::from);
        if let Some(file) = &ca_file
            && let Err(why) = authorities(file)
        {
            let expected = format!("a file of certificate authorities (PEM); {why}");
            check.fault("NATS_CA_FILE", &file.display().to_string(), &expected);
        }
        let client = self.client(check);
        NatsTls {
            required: required || by_url || ca_file.is_some() || client.is_some(),
            first,
            ca_file,
            client,
        }
    }

    fn client(&self, check: &mut Check) -> Option<(PathBuf, PathBuf)> {
        let file = |path: &Option<String>| set(path.as_deref()).map(PathBuf::from);
        let both = (
            file(&self.nats_client_certificate_file),
            file(&self.nats_client_key_file),
        );
        match both {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                if let Err((setting, file, why)) = usable(&certificate, &key) {
                    check.fault(setting, &file.display().to_string(), &why);
                }
                Some((certificate, key))
            }
            (certificate, _) => {
                let only = if certificate.is_some() { CERTIFICATE } else { KEY };
                let expected = "both, the certificate and its key, or neither";
                check.contradiction(
                    &format!("{CERTIFICATE}, {KEY}"),
                    &format!("only {only} is set"),
                    expected,
                );
                None
            }
        }
    }
}

fn authorities(file: &Path) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn usable<'f>(certificate: &'f Path, key: &'f Path) -> Result<(), (&'static str, &'f Path, String)> {
    let chain = certificates(certificate).map_err(|why| {
        (
            CERTIFICATE,
            certificate,
            format!("a file with the worker's certificate (PEM); {why}"),
        )
    })?;
    let der =
        PrivateKeyDer::from_pem_file(key).map_err(|error| (KEY, key, format!("{A_KEY}; {}", said(error))))?;
    CertifiedKey::from_der(chain, der, &ring::default_provider()).map_err(|_| {
        (
            KEY,
            key,
            format!("{A_KEY}; the key is of another kind, damaged, or belongs to another certificate"),
        )
    })?;
    Ok(())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).map_err(said)?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(said)?;
    if all.is_empty() {
        return Err(said(pem::Error::NoItemsFound));
    }
    Ok(all)
}

fn said(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "the file is empty, or holds no such item".to_owned(),
        _ => "the file is not PEM".to_owned(),
    }
}
