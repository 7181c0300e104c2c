//! TLS to NATS, with a certificate authority of its own.
//!
//! F60: PgBouncer in transaction mode, a NATS user with least permissions, a JetStream domain, a private CA everywhere: works as
//! documented, or is refused at the start with a sentence.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::world::World;
use crate::world::nats_options::{file, migrate, server, works};

/// Files of an authority, and of two certificates from it.
struct Files {
    folder: TempDir,
    ca: String,
    server: (String, String),
    client: (String, String),
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        let authority = authority.expect("an authority");
        let signed = |name: &str| {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            (
                file(&folder, &format!("{name}.pem"), &certificate.pem()),
                file(&folder, &format!("{name}.key"), &key.serialize_pem()),
            )
        };
        let (server, client) = (signed("server"), signed("client"));
        Self {
            ca: file(&folder, "ca.pem", &authority.pem()),
            server,
            client,
            folder,
        }
    }

    fn config(&self, more: &str) -> String {
        let (certificate, key) = &self.server;
        let ca = &self.ca;
        format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{ca}\", {more} }}\n")
    }
}

#[tokio::test]
async fn f60_a_private_ca_and_a_client_certificate() {
    let world = World::builder().workers(0).start().await;
    let files = Files::new();
    let nats = server(files.config("verify: true")).await;
    let url = nats.url();
    let (certificate, key) = &files.client;
    works(
        &world,
        &[
            ("NATS_URL", &url),
            ("NATS_CA_FILE", &files.ca),
            ("NATS_CLIENT_CERTIFICATE_FILE", certificate),
            ("NATS_CLIENT_KEY_FILE", key),
        ],
    )
    .await;
}

#[tokio::test]
async fn f60_a_certificate_that_is_not_trusted_is_told() {
    let world = World::builder().workers(0).start().await;
    let (files, others) = (Files::new(), Files::new());
    let nats = server(files.config("")).await;
    let url = nats.url();
    let (migrated, said) = migrate(&world, &[("NATS_URL", &url), ("NATS_CA_FILE", &others.ca)]).await;
    assert!(!migrated && said.contains("invalid peer certificate"), "{said}");
    let (migrated, said) = migrate(&world, &[("NATS_URL", &url), ("NATS_CA_FILE", &files.ca)]).await;
    assert!(migrated, "{said}");
}

#[tokio::test]
async fn m16_tls_that_is_required_never_goes_in_clear() {
    let world = World::builder().workers(0).start().await;
    let (nats, files) = (server("").await, Files::new());
    let (url, by_scheme) = (nats.url(), nats.url().replace("nats://", "tls://"));
    let ways: [&[(&str, &str)]; 3] = [
        &[("NATS_URL", &url), ("NATS_TLS", "require")],
        &[("NATS_URL", &url), ("NATS_CA_FILE", &files.ca)],
        &[("NATS_URL", &by_scheme)],
    ];
    for env in ways {
        let (migrated, said) = migrate(&world, env).await;
        assert!(
            !migrated && said.contains("the last attempt to connect failed"),
            "{env:?}: {said}"
        );
    }
}

#[tokio::test]
async fn m16_tls_first_comes_before_the_servers_greeting() {
    let world = World::builder().workers(0).start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("nats://{}", listener.local_addr().expect("an address"));
    let env = [("NATS_URL", &*url), ("NATS_TLS", "first")];
    let first_byte = async {
        let (mut client, _) = listener.accept().await.expect("a client");
        client.read_u8().await.expect("a byte")
    };
    // The handshake record of TLS; a server that greets first would not get it.
    let first = tokio::select! {
        byte = first_byte => byte,
        (_, said) = migrate(&world, &env) => panic!("no byte came: {said}"),
    };
    assert_eq!(first, 0x16);
    let files = Files::new();
    let nats = server(files.config("handshake_first: auto")).await;
    let env = [
        ("NATS_URL", &*nats.url()),
        ("NATS_TLS", "first"),
        ("NATS_CA_FILE", &files.ca),
    ];
    let (migrated, said) = migrate(&world, &env).await;
    assert!(migrated && files.folder.path().exists(), "{said}");
}
