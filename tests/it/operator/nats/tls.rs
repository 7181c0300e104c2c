//! TLS to NATS, and to all servers, with certificate authorities of their own.
//!
//! F60: PgBouncer in transaction mode, a NATS user with least permissions, a JetStream domain, a private CA everywhere: works as
//! documented, or is refused at the start with a sentence.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use async_nats::jetstream;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rolekeeper_sandbox::tenant::{Client, Tenant, TenantOptions};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::world::events::{plays, saved};
use crate::world::nats_options::{file, migrate, server, works};
use crate::world::oracle::ROLE;
use crate::world::{ANN, CLIENT, World};

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

/// Postgres takes connections by TLS too, with the certificate of the files.
async fn serves_tls(world: &World, files: &Files) {
    let data = world.postgres().await.data_dir().to_path_buf();
    let owner = std::fs::metadata(&data).expect("a folder");
    let (certificate, key) = &files.server;
    for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
        let to = data.join(name);
        std::fs::copy(from, &to).expect("a file");
        std::fs::set_permissions(&to, Permissions::from_mode(0o600)).expect("its owner's");
        chown(&to, Some(owner.uid()), Some(owner.gid())).expect("the server's");
    }
    world.run_sql("ALTER SYSTEM SET ssl = on").await;
    world.run_sql("SELECT pg_reload_conf()").await;
}

/// Postgres, NATS and Auth0 have certificates of authorities that no system knows.
#[tokio::test]
async fn f60_a_private_ca_at_each_server() {
    let world = World::builder().own_postgres().workers(0).start().await;
    let files = Files::new();
    serves_tls(&world, &files).await;
    let nats = server(files.config("")).await;
    let options = TenantOptions {
        tls: true,
        clients: vec![Client::new(CLIENT, "secret")],
        ..TenantOptions::default()
    };
    let tenant = Tenant::start(options).await.expect("a tenant");
    let authority = tenant.ca_file().expect("TLS").display().to_string();
    let (url, domain) = (nats.url(), tenant.base_url());
    let database = |ca: &str| {
        format!(
            "{}?sslmode=verify-full&sslrootcert={ca}",
            world.setting("DATABASE_URL")
        )
    };
    let (right, wrong) = (database(&files.ca), database(&authority));
    let mut env = [
        ("DATABASE_URL", wrong.as_str()),
        ("NATS_URL", &url),
        ("NATS_CA_FILE", &files.ca),
        ("AUTH0_DOMAIN", &domain),
        ("AUTH0_CA_FILE", &authority),
    ];
    let refused = async || {
        let (migrated, said) = migrate(&world, &env).await;
        !migrated && said.contains("certificate")
    };
    world.eventually("the wrong authority is named", refused).await;
    env[0].1 = &right;
    works(&world, &env).await;

    tenant.seed_user(ANN, json!({})).expect("a user");
    let client = async_nats::ConnectOptions::new().require_tls(true);
    let client = client
        .add_root_certificates(files.ca.clone().into())
        .connect(&url);
    let jetstream = jetstream::new(client.await.expect("nats-server responds"));
    for event in [vec![saved("s", "pl_1", ANN)], plays("p", "pl_1", 0..100)].concat() {
        let ack = jetstream.publish(event.subject, event.payload.into()).await;
        ack.expect("sent").await.expect("stored");
    }
    let written = async || {
        tenant
            .user(ANN)
            .is_some_and(|user| user["app_metadata"]["roles"] == json!([ROLE]))
    };
    world.eventually("the role is written", written).await;
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE NOT ssl AND application_name = 'rolekeeper'";
    assert_eq!(world.number(plain).await, Some(0));
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
