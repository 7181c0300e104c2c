//! The tenant's TLS: a private certificate authority that exists as long as the tenant.
//!
//! Owns this authority, the server's certificate for 127.0.0.1 and localhost, and the certificate file for clients. Must never
//! write a private key to a file.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::servers::folder::Folder;

/// Validity of the certificates: enough for any run, and for clients whose clock is slightly behind or ahead.
const VALID_FOR: Duration = Duration::days(7);
const CLOCKS_MAY_DIFFER_BY: Duration = Duration::hours(1);

/// The TLS acceptor of the tenant, and the folder with the authority's certificate.
#[derive(Debug)]
pub(super) struct Tls {
    folder: Folder,
}

impl Tls {
    /// Creates authority and certificate, and writes the authority's certificate to a temporary folder.
    pub(super) fn new() -> anyhow::Result<(Self, TlsAcceptor)> {
        let authority = authority().context("cannot make a certificate authority")?;
        let tls = Self {
            folder: Folder::new("tls")?,
        };
        let file = tls.ca_file();
        fs::write(&file, authority.pem()).with_context(|| format!("cannot write {}", file.display()))?;
        let acceptor = acceptor(&authority).context("cannot make a server certificate")?;
        Ok((tls, acceptor))
    }

    /// Returns the path of the authority's certificate in PEM.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

fn authority() -> anyhow::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = params(&[])?;
    params
        .distinguished_name
        .push(DnType::CommonName, "rolekeeper sandbox authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn acceptor(authority: &CertifiedIssuer<'_, KeyPair>) -> anyhow::Result<TlsAcceptor> {
    let mut params = params(&["127.0.0.1", "localhost"])?;
    params
        .distinguished_name
        .push(DnType::CommonName, "rolekeeper sandbox tenant");
    // Python's strict verification (from 3.13) requires the identifier; browsers and Go require the usage.
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn params(names: &[&str]) -> anyhow::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let now = crate::now();
    params.not_before = now - CLOCKS_MAY_DIFFER_BY;
    params.not_after = now + VALID_FOR;
    Ok(params)
}
