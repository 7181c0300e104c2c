//! The worker's Auth0 client against the stand-in tenant, over https as against Auth0.
//!
//! Owns tests that need both sides: trust, and the client's authentication. Must never inspect the client's internals:
//! only its results and the tenant's observations count.

use std::path::PathBuf;
use std::time::Duration;

use rolekeeper::auth0::{CallError, Client, ClientOptions, LaterWhy, Outcome, Reader, Writer};
use rolekeeper::config::ClientCredential;
use rolekeeper_domain::ids::UserId;
use rolekeeper_sandbox::tenant::{self, Call, CallMatch, Endpoint, Fault, Tenant, TenantOptions};
use serde_json::json;
use tokio::time::Instant;

const USER: &str = "auth0|abc";

/// A tenant over TLS that knows one client and one user.
async fn tenant() -> Tenant {
    let options = TenantOptions {
        tls: true,
        clients: vec![tenant::Client::new("worker", "c1ient-s3cret")],
        ..TenantOptions::default()
    };
    let tenant = Tenant::start(options).await.expect("a free port");
    tenant
        .seed_user(USER, json!({"app_metadata": {"roles": ["dj"]}}))
        .expect("a new user");
    tenant
}

/// The address of this tenant for a worker: a host, without a scheme.
fn options(tenant: &Tenant) -> ClientOptions {
    ClientOptions {
        domain: tenant.base_url().replace("https://", ""),
        audience: None,
        client_id: "worker".to_owned(),
        credential: ClientCredential::Secret("c1ient-s3cret".into()),
        request_timeout: Duration::from_secs(10),
        ca_file: tenant.ca_file(),
    }
}

/// Deadline of a write that is sent now.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(2)
}

fn user() -> UserId<'static> {
    UserId::parse(USER).expect("an id")
}

fn statuses(tenant: &Tenant) -> Vec<(Endpoint, Option<u16>)> {
    let seen = |call: &Call| (call.endpoint, call.status);
    tenant.with_calls(|calls| calls.iter().map(seen).collect())
}

#[tokio::test]
async fn an_authority_from_the_file_is_trusted() {
    let tenant = tenant().await;
    let client = Client::new(options(&tenant)).unwrap();
    let seen = Reader::new(&client).get_user(&user()).await.result.unwrap();
    assert_eq!(seen.json()["app_metadata"]["roles"], json!(["dj"]));
    let body = json!({"app_metadata": {"roles": ["dj", "playlist_editor"]}});
    Writer::new(&client)
        .patch_user(&user(), &body, soon())
        .await
        .result
        .unwrap();
    assert_eq!(tenant.user(USER).unwrap()["app_metadata"], body["app_metadata"]);
    let expected = [Endpoint::Token, Endpoint::ReadUser, Endpoint::PatchUser].map(|call| (call, Some(200)));
    assert_eq!(statuses(&tenant), expected);
}

#[tokio::test]
async fn an_unknown_authority_is_refused_before_anything_is_said() {
    let (tenant, stranger) = (tenant().await, tenant().await);
    for ca_file in [None, stranger.ca_file()] {
        let options = ClientOptions {
            ca_file,
            ..options(&tenant)
        };
        let reply = Reader::new(&Client::new(options).unwrap())
            .get_user(&user())
            .await;
        let error = reply.result.unwrap_err();
        let CallError::Later { why, outcome, detail } = &error else {
            panic!("expected Later, got {error:?}")
        };
        assert_eq!((*why, *outcome), (LaterWhy::TokenUnavailable, Outcome::NotSent));
        assert!(detail.contains("certificate"), "{detail}");
    }
    assert_eq!(tenant.calls(), []);
}

#[tokio::test]
async fn connections_break_under_tls_as_without() {
    let tenant = tenant().await;
    let writer = Writer::new(&Client::new(options(&tenant)).unwrap());
    let body = json!({"app_metadata": {"roles": ["playlist_editor"]}});
    for (fault, why) in [
        (Fault::TornBody, LaterWhy::BadAnswer),
        (Fault::AppliedButUnanswered, LaterWhy::Network),
    ] {
        tenant.fault_once(CallMatch::to(Endpoint::PatchUser), fault);
        let error = writer
            .patch_user(&user(), &body, soon())
            .await
            .result
            .unwrap_err();
        let CallError::Later {
            why: seen, outcome, ..
        } = error
        else {
            panic!("expected Later, got {error:?}")
        };
        assert_eq!((seen, outcome), (why, Outcome::Unknown));
    }
}

#[tokio::test]
async fn the_authority_goes_with_its_tenant() {
    let tenant = tenant().await;
    let file: PathBuf = tenant.ca_file().unwrap();
    let pem = std::fs::read_to_string(&file).unwrap();
    assert!(
        pem.contains("BEGIN CERTIFICATE") && !pem.contains("PRIVATE KEY"),
        "{pem}"
    );
    drop(tenant);
    assert!(!file.exists());
}
