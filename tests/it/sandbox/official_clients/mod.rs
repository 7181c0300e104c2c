//! Auth0's own clients for Node and Python, unmodified, against the stand-in tenant over https.
//!
//! Owns the start of their programs and the tenants that these call. The programs are in `tests/sdk/`, their packages in
//! `.tools/sdk/`, installed by `scripts/install.sh test`. Must never pass silently without them: with `CI=true` that is a
//! failure, otherwise the test prints it.

mod expected;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Client, Endpoint, Fault, Rate, RatePlan, Tenant, TenantOptions};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::world::key_pair::KeyPair;
use expected::{check_calls, check_calls_of_the_limited, expected};

/// The calls take some ten seconds, most of it waiting as the headers require.
const BOUND: Duration = Duration::from_mins(2);

#[tokio::test]
async fn the_node_client_works_and_waits_as_at_auth0() {
    let packages = tools("node/node_modules");
    let Some(mut command) = command("the Node client", Path::new("node"), &packages.join("auth0")) else {
        return;
    };
    command.arg(program("node/client.cjs")).env("NODE_PATH", packages);
    works_and_waits(command, &["NODE_EXTRA_CA_CERTS"]).await;
}

#[tokio::test]
async fn the_python_client_works_and_waits_as_at_auth0() {
    let python = tools("python/bin/python");
    let Some(mut command) = command("the Python client", &python, &tools("python/installed")) else {
        return;
    };
    command.arg(program("python/client.py"));
    works_and_waits(command, &["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"]).await;
}

fn tools(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".tools/sdk")
        .join(path)
}

fn program(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(path)
}

/// The program that runs the client, if it is installed.
fn command(what: &str, program: &Path, needed: &Path) -> Option<Command> {
    let runs = std::process::Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if runs && needed.exists() {
        return Some(Command::new(program));
    }
    let missing = format!(
        "{what} was not tested: it needs {} and {}, which `scripts/install.sh test` installs",
        program.display(),
        needed.display()
    );
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    writeln!(std::io::stderr(), "{missing}").expect("standard error is open");
    None
}

/// Runs the client's program and compares its results, and the tenants' requests, with Auth0's behaviour.
async fn works_and_waits(mut command: Command, trust: &[&str]) {
    let keys = KeyPair::new();
    let (tenant, limited) = (tenant(RatePlan::Unlimited).await, tenant(SMALL).await);
    tenant.register_client(Client::with_key("sdk-with-key", keys.public()));
    order_faults(&tenant);
    let authorities = both(&tenant, &limited);
    command
        .env("DOMAIN", tenant.base_url().replace("https://", ""))
        .env("LIMITED_DOMAIN", limited.base_url().replace("https://", ""))
        .env("CLIENT_ID", "sdk")
        .env("CLIENT_SECRET", "secret")
        .env("KEY_CLIENT_ID", "sdk-with-key")
        .env("KEY_FILE", keys.file())
        .envs(trust.iter().map(|name| (name, authorities.path())))
        .kill_on_drop(true);
    let output = tokio::time::timeout(BOUND, command.output()).await;
    let output = output
        .expect("the program ends in time")
        .expect("the program starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(seen, expected(), "{seen:#}");
    check_calls(&tenant);
    check_calls_of_the_limited(&limited);
}

/// Two calls at once and two more every five seconds: the third in a row is too many. The bucket is full again at the
/// time that the headers name, which is later than any wait of the clients' own choice.
const SMALL: RatePlan = RatePlan::Global(Rate::new(2, 0.4));

async fn tenant(plan: RatePlan) -> Tenant {
    let options = TenantOptions {
        tls: true,
        clients: vec![Client::new("sdk", "secret")],
        plan,
        export_takes: Duration::from_secs(1),
        ..TenantOptions::default()
    };
    let tenant = Tenant::start(options).await.expect("a free port");
    for user in ["auth0|reader", "auth0|limited", "auth0|unlucky"] {
        let profile =
            json!({"email": format!("{}@example.com", &user[6..]), "app_metadata": {"roles": ["dj"]}});
        tenant.seed_user(user, profile).expect("a new user");
    }
    tenant
        .seed_user("google-oauth2|7", json!({}))
        .expect("a new user");
    // The order of creation is not that of the ids.
    for (number, second) in [2, 1, 0].into_iter().enumerate() {
        let user = json!({
            "user_id": format!("auth0|old{number}"), "created_at": format!("2024-01-01T00:00:0{second}.000Z"),
            "app_metadata": {"roles": ["archivist"]},
        });
        tenant.import_user(user).expect("a user of another time");
    }
    tenant
}

/// One user who always gets 429, and one whose change succeeds at the third attempt.
fn order_faults(tenant: &Tenant) {
    let too_many = |retry_after: &str| Fault::Status {
        code: 429,
        headers: [
            ("retry-after", retry_after),
            ("x-ratelimit-limit", "50"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1700000000"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        body: Some(json!({
            "statusCode": 429,
            "error": "Too Many Requests",
            "message": "Global limit has been reached",
            "errorCode": "too_many_requests",
        })),
    };
    tenant.hold_fault(
        CallMatch::to(Endpoint::ReadUser).user("auth0|limited"),
        too_many("1"),
    );
    let unlucky = || CallMatch::to(Endpoint::PatchUser).user("auth0|unlucky");
    tenant.fault_once(unlucky(), too_many("2"));
    tenant.fault_once(unlucky(), Fault::status(503));
}

/// The authorities of both tenants in one file.
fn both(one: &Tenant, other: &Tenant) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    for ca_file in [one, other].map(|tenant| tenant.ca_file().expect("TLS")) {
        let pem = std::fs::read(ca_file).expect("the authority's certificate");
        file.write_all(&pem).expect("room for two certificates");
    }
    file
}
