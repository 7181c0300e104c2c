//! A server over TLS that speaks HTTP/1.1, and HTTP/2 with as many streams a connection as Auth0's edge.
//!
//! Owns a thread, so that its CPU is in no figure of a client. Must never limit the rate of calls.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::Result;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::mass::LATENCY;

/// Streams that a connection of HTTP/2 may have open at once.
const STREAMS: u32 = 100;
const MAX_REQUEST_BYTES: usize = 1 << 16;

/// A profile of usual size.
static PROFILE: LazyLock<Bytes> = LazyLock::new(|| {
    let profile = json!({
        "user_id": "auth0|abc",
        "app_metadata": {"roles": ["beta_tester"]},
        "user_metadata": {"about": "x".repeat(1_200)},
    });
    profile.to_string().into()
});

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Its certificate, which a client must trust.
    pub(crate) certificate: reqwest::Certificate,
    connections: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl Server {
    /// Starts it on a free port of 127.0.0.1, in a thread of its own.
    pub(crate) fn start() -> Result<Self> {
        let own = generate_simple_self_signed([Ipv4Addr::LOCALHOST.to_string()])?;
        let certificate = reqwest::Certificate::from_der(own.cert.der())?;
        let acceptor = acceptor(&own)?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let (address, connections) = (listener.local_addr()?, Arc::default());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, counted) = (CancellationToken::new(), Arc::clone(&connections));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            runtime.block_on(stopped.run_until_cancelled(serve(listener, acceptor, counted)))
        });
        Ok(Self {
            address,
            certificate,
            connections,
            _stop: stop.drop_guard(),
        })
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn acceptor(own: &CertifiedKey<KeyPair>) -> Result<TlsAcceptor> {
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(
    listener: std::net::TcpListener,
    acceptor: TlsAcceptor,
    connections: Arc<AtomicUsize>,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(STREAMS);
    let mut open = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        connections.fetch_add(1, Ordering::Relaxed);
        let (acceptor, builder) = (acceptor.clone(), builder.clone());
        open.spawn(async move {
            // A client that has ended closes its connections in any state.
            if let Ok(tls) = acceptor.accept(tcp).await {
                let _ = builder
                    .serve_connection(TokioIo::new(tls), service_fn(answer))
                    .await;
            }
        });
        while open.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, axum::Error> {
    to_bytes(Body::new(request.into_body()), MAX_REQUEST_BYTES).await?;
    sleep(LATENCY).await;
    let mut response = Response::new(Body::from(PROFILE.clone()));
    for (name, value) in [
        (header::CONTENT_TYPE.as_str(), "application/json; charset=utf-8"),
        ("x-ratelimit-limit", "1000"),
        ("x-ratelimit-remaining", "990"),
        ("x-ratelimit-reset", "1795910400"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
