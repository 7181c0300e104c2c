//! A private key instead of the client's secret (`private_key_jwt`): the keys that the worker accepts, its assertions,
//! and the signatures that the stand-in tenant accepts.
//!
//! Owns the keys of the tests, made by openssl as in Auth0's documentation. The tenant verifies the worker's signatures
//! with code of its own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rolekeeper::auth0::{self, CallError, ClientOptions, Profile, Reader};
use rolekeeper::config::{ClientCredential, ClientKey};
use rolekeeper_domain::ids::UserId;
use rolekeeper_sandbox::tenant::{Client, Endpoint, Tenant, TenantOptions};
use serde_json::{Value, json};

use crate::world::key_pair::{KeyPair, openssl, path};

const USER: &str = "auth0|abc";

async fn tenant(options: TenantOptions) -> Tenant {
    let tenant = Tenant::start(TenantOptions { tls: true, ..options })
        .await
        .unwrap();
    tenant.seed_user(USER, json!({})).unwrap();
    tenant
}

/// A client with this key file, as the worker makes it.
fn client(tenant: &Tenant, file: &Path, key_id: Option<&str>) -> auth0::Client {
    let key = ClientKey::read(file, key_id.map(str::to_owned)).unwrap();
    auth0::Client::new(ClientOptions {
        domain: tenant.base_url().replace("https://", ""),
        audience: Some("https://music.eu.auth0.com/api/v2/".to_owned()),
        client_id: "worker".to_owned(),
        credential: ClientCredential::Key(key),
        request_timeout: Duration::from_secs(10),
        ca_file: tenant.ca_file(),
    })
    .unwrap()
}

async fn read(client: &auth0::Client) -> Result<Profile, CallError> {
    let user = UserId::parse(USER).unwrap();
    Reader::new(client).get_user(&user).await.result
}

#[tokio::test]
async fn a_key_in_either_form_earns_tokens() {
    let keys = KeyPair::new();
    let clients = vec![Client::with_key("worker", keys.public())];
    let tenant = tenant(TenantOptions {
        clients,
        ..TenantOptions::default()
    })
    .await;
    for (file, key_id) in [(keys.file(), None), (keys.pkcs1_file(), Some("key-1"))] {
        let client = client(&tenant, &file, key_id);
        read(&client).await.unwrap();
        // A second token needs a second assertion: the tenant accepts none twice.
        tenant.revoke_tokens("worker");
        read(&client).await.unwrap();
    }
    let asked = tenant
        .calls()
        .into_iter()
        .filter(|call| call.endpoint == Endpoint::Token);
    let shown: Vec<Value> = asked.filter_map(|call| call.body).collect();
    assert_eq!(shown.len(), 4);
    assert!(
        shown.iter().all(|body| body.get("client_secret").is_none()),
        "{shown:?}"
    );
}

#[tokio::test]
async fn a_key_that_the_tenant_does_not_take_stops_everyone() {
    let (keys, others) = (KeyPair::new(), KeyPair::new());
    let options = || TenantOptions {
        clients: vec![Client::with_key("worker", keys.public())],
        ..TenantOptions::default()
    };
    let here = tenant(options()).await;
    // The assertion is for the domain of the call, so a tenant of another name must refuse it.
    let elsewhere = tenant(TenantOptions {
        audience: Some("https://music.eu.auth0.com/api/v2/".to_owned()),
        ..options()
    })
    .await;
    let by_secret = tenant(TenantOptions {
        clients: vec![Client::new("worker", "secret")],
        ..TenantOptions::default()
    })
    .await;
    for (tenant, file, key_id, why) in [
        (&here, others.file(), None, "signature"),
        (&here, keys.file(), Some("key-2"), "names a key"),
        (&elsewhere, keys.file(), None, "audience"),
    ] {
        let error = read(&client(tenant, &file, key_id)).await.unwrap_err();
        let CallError::Credentials { message } = &error else {
            panic!("expected Credentials, got {error:?}")
        };
        assert!(message.contains(why), "{message}");
    }
    let error = read(&client(&by_secret, &keys.file(), None)).await.unwrap_err();
    assert!(matches!(error, CallError::Credentials { .. }), "{error:?}");
}

/// Signs these parts of an assertion with the key.
fn assertion(key: &ClientKey, header: &Value, claims: &Value) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let [header, claims] = [header, claims].map(|part| encode(part.to_string().as_bytes()));
    let signed = format!("{header}.{claims}");
    let signature = encode(&key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

fn with(changed: &Value, name: &str, value: Value) -> Value {
    let mut changed = changed.clone();
    changed[name] = value;
    changed
}

/// A tenant that knows the key of one client, the key, and correct claims for this tenant.
async fn tenant_with_key(keys: &KeyPair) -> (Tenant, ClientKey, Value) {
    let options = TenantOptions {
        clients: vec![Client::with_key("worker", keys.public())],
        ..TenantOptions::default()
    };
    let tenant = Tenant::start(options).await.unwrap();
    let now = rolekeeper_sandbox::now().unix_timestamp();
    let claims = json!({"iss": "worker", "sub": "worker", "aud": format!("{}/", tenant.base_url()),
        "iat": now, "exp": now + 60, "jti": "1"});
    (tenant, ClientKey::read(&keys.file(), None).unwrap(), claims)
}

#[tokio::test]
async fn the_tenant_accepts_a_correct_assertion_once() {
    let (tenant, key, claims) = tenant_with_key(&KeyPair::new()).await;
    let good = assertion(&key, &json!({"alg": "RS256"}), &claims);
    assert_eq!(ask(&tenant, &good).await.0, 200);
    let (status, body) = ask(&tenant, &good).await;
    assert_eq!(
        (status, &body["error"]),
        (401, &json!("invalid_client")),
        "{body}"
    );
}

#[tokio::test]
async fn the_tenant_refuses_a_wrong_assertion_with_the_reason() {
    let (tenant, key, claims) = tenant_with_key(&KeyPair::new()).await;
    let now = claims["iat"].as_i64().unwrap();
    let header = json!({"alg": "RS256"});
    let said = |name: &str, value: Value| assertion(&key, &header, &with(&claims, name, value));
    let none = json!({"alg": "none"});
    let refused = [
        (assertion(&key, &none, &claims), "algorithm"),
        (said("iss", "other".into()), "issuer"),
        (said("aud", tenant.base_url().into()), "audience"),
        (said("exp", (now + 400).into()), "5 minutes"),
        (said("exp", (now - 60).into()), "expired"),
        (said("iat", (now + 60).into()), "future"),
        (said("jti", Value::Null), "no JWT"),
        (String::new(), "no JWT"),
    ];
    for (assertion, why) in refused {
        let (status, body) = ask(&tenant, &assertion).await;
        assert_eq!(
            (status, &body["error"]),
            (401, &json!("invalid_client")),
            "{body}"
        );
        let told = body["error_description"].as_str().unwrap();
        assert!(told.contains(why), "{why}: {body}");
    }
}

/// Requests a token; only the assertion identifies the client.
async fn ask(tenant: &Tenant, assertion: &str) -> (u16, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({
        "grant_type": "client_credentials",
        "client_id": "worker",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
        "audience": "https://sandbox.eu.auth0.com/api/v2/",
    });
    let request = http
        .post(format!("{}/oauth/token", tenant.base_url()))
        .json(&body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Faults that `serve` reports when started with these settings beside valid ones.
fn faults(settings: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rolekeeper"))
        .args(["serve", "--only", "reconcile"])
        .env_clear()
        .envs([
            ("DATABASE_URL", "postgres://127.0.0.1:1/none"),
            ("NATS_URL", "nats://127.0.0.1:1"),
            ("AUTH0_DOMAIN", "music.eu.auth0.com"),
            ("AUTH0_CLIENT_ID", "worker"),
            // One further fault, so that it never starts, not even if it wrongly found no other.
            ("AUTH0_WRITES", "perhaps"),
        ])
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// The path of a file in the folder.
fn within(folder: &tempfile::TempDir, name: &str) -> String {
    path(&folder.path().join(name)).to_owned()
}

fn written(folder: &tempfile::TempDir, name: &str, content: &str) -> String {
    let file = within(folder, name);
    std::fs::write(&file, content).unwrap();
    file
}

/// The path of a key that openssl writes to the folder.
fn made(folder: &tempfile::TempDir, name: &str, arguments: &[&str]) -> String {
    let file = within(folder, name);
    openssl(&[arguments, &["-out", &file]].concat());
    file
}

/// Checks that the fault of each key file names the setting, the file and the reason.
fn refused_with_the_reason(files: &[(String, &str)]) {
    for (file, why) in files {
        let complaint = faults(&[("AUTH0_CLIENT_KEY_FILE", file)]);
        let mut lines = complaint.lines();
        let line = lines.find(|line| line.contains("AUTH0_CLIENT_KEY_FILE"));
        let line = line.unwrap_or_else(|| panic!("{file}: {complaint}"));
        for part in [file.as_str(), "RSA private key", why] {
            assert!(line.contains(part), "{line}");
        }
    }
}

#[test]
fn a_file_without_a_key_is_refused_with_the_reason() {
    let (keys, folder) = (KeyPair::new(), tempfile::tempdir().unwrap());
    let pem = std::fs::read_to_string(keys.file()).unwrap();
    refused_with_the_reason(&[
        ("/nonexistent/key.pem".to_owned(), "No such file"),
        (written(&folder, "empty.pem", ""), "holds no such key"),
        (
            written(&folder, "public.pem", &keys.public_pem),
            "holds no such key",
        ),
        (written(&folder, "garbage.pem", "not a key"), "holds no such key"),
        (written(&folder, "torn.pem", &pem[..pem.len() / 2]), "not PEM"),
    ]);
}

#[test]
fn a_key_of_another_kind_is_refused_with_the_reason() {
    let (keys, folder) = (KeyPair::new(), tempfile::tempdir().unwrap());
    let key = keys.file();
    let elliptic = ["ecparam", "-genkey", "-name", "prime256v1", "-noout"];
    let locked = ["rsa", "-in", path(&key), "-aes128", "-passout", "pass:secret"];
    // The size of a key stands behind all options.
    let short = within(&folder, "short.pem");
    openssl(&["genrsa", "-out", &short, "1024"]);
    refused_with_the_reason(&[
        (short, "too short"),
        (made(&folder, "elliptic.pem", &elliptic), "another kind"),
        (made(&folder, "locked.pem", &locked), "holds no such key"),
    ]);
}

#[test]
fn a_fault_names_the_setting_and_shows_no_secret() {
    let keys = KeyPair::new();
    let file = path(&keys.file()).to_owned();
    let both = faults(&[
        ("AUTH0_CLIENT_KEY_FILE", &file),
        ("AUTH0_CLIENT_SECRET", "s3cret"),
    ]);
    assert!(
        both.contains("AUTH0_CLIENT_SECRET, AUTH0_CLIENT_KEY_FILE: both are set, expected exactly one"),
        "{both}"
    );
    assert!(!both.contains("s3cret"), "{both}");
    let neither = faults(&[("AUTH0_CLIENT_SECRET", " ")]);
    assert!(
        neither.contains("AUTH0_CLIENT_SECRET, AUTH0_CLIENT_KEY_FILE: neither is set"),
        "{neither}"
    );
    let alone = faults(&[
        ("AUTH0_CLIENT_SECRET", "s3cret"),
        ("AUTH0_CLIENT_KEY_ID", "key-1"),
    ]);
    assert!(alone.contains("AUTH0_CLIENT_KEY_ID: "), "{alone}");
    for good in [
        &[("AUTH0_CLIENT_KEY_FILE", file.as_str())][..],
        &[("AUTH0_CLIENT_SECRET", "s3cret")],
    ] {
        let complaint = faults(good);
        assert!(complaint.contains("1 fault(s)"), "{complaint}");
    }
}
