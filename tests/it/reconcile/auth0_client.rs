//! The worker's Auth0 client against the stand-in tenant, over https as against Auth0.
//!
//! Owns tests that need both sides: trust, the client's authentication, its connections. Must never inspect the client's
//! internals: only its results and the tenant's observations count.

use std::path::PathBuf;
use std::time::Duration;

use rolekeeper::auth0::{CallError, Client, ClientOptions, LaterWhy, Outcome, Reader, Writer};
use rolekeeper::config::ClientCredential;
use rolekeeper_domain::ids::UserId;
use rolekeeper_sandbox::tenant::{
    self, Call, CallMatch, Endpoint, Fault, Rate, RatePlan, Tenant, TenantOptions,
};
use rustls::server::Acceptor;
use serde_json::json;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use crate::world::poll;
use crate::world::proxy::Proxy;

const USER: &str = "auth0|abc";

/// More calls at once than a connection of HTTP/2 takes.
const CALLS: usize = 128;

/// A tenant over TLS that knows one client and one user.
async fn tenant() -> Tenant {
    tenant_with(true).await
}

async fn tenant_with(tls: bool) -> Tenant {
    let options = TenantOptions {
        tls,
        plan: RatePlan::Global(Rate::new(1_000, 1_000.0)),
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

/// A client of the tenant by way of a proxy.
async fn by_proxy(tenant: &Tenant) -> (Client, Proxy) {
    let url = tenant.base_url();
    let (scheme, address) = url.split_once("//").expect("a URL");
    let way = Proxy::start(address.parse().expect("an address")).await;
    let options = ClientOptions {
        domain: format!("{scheme}//127.0.0.1:{}", way.port()),
        audience: Some(format!("{url}/api/v2/")),
        ..options(tenant)
    };
    (Client::new(options).expect("a client"), way)
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

/// Lets a read that takes seconds have the only connection of the client.
async fn take_the_connection(tenant: &Tenant, client: &Client) -> JoinSet<()> {
    let reader = Reader::new(client);
    reader.authorize().await.unwrap();
    let slow = Fault::DelayedAnswer(Duration::from_secs(3));
    tenant.fault_once(CallMatch::to(Endpoint::ReadUser), slow);
    let mut reading = JoinSet::new();
    reading.spawn(async move { drop(reader.get_user(&user()).await) });
    let in_flight = poll(Duration::from_secs(8), async || {
        (tenant.faults_waiting() == 0).then_some(())
    });
    in_flight.await.expect("the read is in flight");
    reading
}

#[tokio::test]
async fn the_time_of_a_write_includes_connecting() {
    let tenant = tenant().await;
    let (client, way) = by_proxy(&tenant).await;
    let _reading = take_the_connection(&tenant, &client).await;
    way.delay(Duration::from_millis(600));
    let writer = Writer::new(&client);
    let body = json!({"app_metadata": {"roles": ["playlist_editor"]}});
    let while_connecting = Instant::now() + Duration::from_millis(300);
    let late = writer.patch_user(&user(), &body, while_connecting).await.result;
    let Err(CallError::Later { why, outcome, .. }) = late else {
        panic!("expected Later, got {late:?}")
    };
    assert_eq!((why, outcome), (LaterWhy::TooLate, Outcome::NotSent));
    let patch = |(endpoint, _): &(Endpoint, _)| *endpoint == Endpoint::PatchUser;
    let writes = || statuses(&tenant).into_iter().filter(patch).count();
    assert_eq!(writes(), 0);
    way.restore();
    writer.patch_user(&user(), &body, soon()).await.result.unwrap();
    assert_eq!(writes(), 1);
}

#[tokio::test]
async fn no_call_waits_for_the_connection_of_another() {
    let tenant = tenant_with(false).await;
    let (client, way) = by_proxy(&tenant).await;
    let reader = Reader::new(&client);
    reader.authorize().await.unwrap();
    for wave in 1..=2 {
        way.hold(b"GET /api/v2/users/");
        let mut calls = JoinSet::new();
        for _ in 0..CALLS {
            let reader = reader.clone();
            calls.spawn(async move { reader.get_user(&user()).await.result.is_ok() });
        }
        let held = poll(Duration::from_secs(8), async || {
            (way.held() == wave * CALLS).then_some(())
        });
        assert!(held.await.is_some(), "{} calls are at the tenant", way.held());
        way.let_go();
        assert!(calls.join_all().await.into_iter().all(|done| done));
    }
    // The second wave has the connections of the first.
    let connections = way.connections();
    assert!(connections < CALLS + CALLS / 2, "{connections} connections");
}

/// A connection of HTTP/1.1 has one call at a time, so that none waits for another's.
#[tokio::test]
async fn a_tenant_is_offered_http_1_1_alone() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = tenant().await;
    let options = ClientOptions {
        domain: listener.local_addr().unwrap().to_string(),
        ..options(&server)
    };
    let offered = spawn_blocking(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut acceptor = Acceptor::default();
        loop {
            acceptor.read_tls(&mut tcp).unwrap();
            if let Ok(Some(accepted)) = acceptor.accept() {
                let offered = accepted.client_hello().alpn().expect("protocols");
                return offered.map(<[u8]>::to_vec).collect::<Vec<_>>();
            }
        }
    });
    let reader = Reader::new(&Client::new(options).unwrap());
    let (offered, authorized) = tokio::join!(offered, reader.authorize());
    assert_eq!(offered.unwrap(), [b"http/1.1"]);
    assert!(authorized.is_err(), "the server has closed the connection");
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
