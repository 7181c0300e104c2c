//! The connection to NATS.
//!
//! Owns all its options: servers, login, TLS, and the place of JetStream. Must never connect in another way than configured,
//! and never show a secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Auth, AuthError, ConnectOptions, Event, jetstream};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::bulk::Bulk;
use super::refusals::Refusals;
use super::{Bus, BusError};
use crate::config::{BusConfig, NatsLogin, NatsProof, NatsTls};

/// Longest wait for one response of JetStream.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Delay between two attempts to connect; short, because the next server of a cluster may accept at once.
const RECONNECT_DELAY: Duration = Duration::from_millis(250);
/// Interval of the pings while nothing arrives. The third one without a response ends the connection: a server or a network that went
/// silent is left within 15 s, for another server of the cluster. The client's own interval of a minute would block the webhook for
/// three, longer than Auth0 retries a delivery.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Most publishes in flight at once. The client waits without limit above that, so `publish` stays well below.
const MAX_ACKS_IN_FLIGHT: usize = 4_000;

impl Bus {
    /// Connects in the background: returns at once, retries without limit, reconnects by itself.
    ///
    /// # Errors
    /// A setting is invalid, for example an address.
    pub async fn connect(config: &BusConfig) -> Result<Self, BusError> {
        let (disconnected, disconnects) = watch::channel(0);
        let refusals = Refusals::new(&config.inbox_prefix);
        // The client also asks for the delay before its first attempt, where no wait is needed.
        let tried = AtomicBool::new(false);
        let (events, attempts) = (refusals.clone(), refusals.clone());
        let options = secured(logging_in(&config.login), &config.tls)
            .name("rolekeeper")
            .custom_inbox_prefix(&config.inbox_prefix)
            .retry_on_initial_connect()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(move |_| {
                if tried.swap(true, Ordering::Relaxed) {
                    RECONNECT_DELAY
                } else {
                    Duration::ZERO
                }
            })
            .reconnect_to_server_callback(move |servers, _| {
                // The client calls this before each attempt: it is the only place with the error of the previous attempt.
                attempts.failed_to_connect(servers.into_iter().filter_map(|server| server.last_error));
                std::future::ready(None)
            })
            .event_callback(move |event| {
                if !events.note(&event) {
                    report(&event);
                }
                if event == Event::Disconnected {
                    disconnected.send_modify(|count| *count += 1);
                }
                std::future::ready(())
            });
        let servers: Vec<&str> = config.url.expose_secret().split(',').collect();
        let client = options
            .connect(servers)
            .await
            .map_err(|error| BusError::Settings(error.to_string()))?;
        let jetstream = jetstream::ContextBuilder::new()
            .api_prefix(&config.api_prefix)
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
            .max_ack_inflight(MAX_ACKS_IN_FLIGHT)
            .build(client.clone());
        Ok(Self {
            client,
            jetstream,
            api_prefix: config.api_prefix.as_str().into(),
            refusals,
            bulk: Bulk::default(),
            disconnects,
        })
    }
}

/// Returns options that read the login again at each attempt.
fn logging_in(login: &NatsLogin) -> ConnectOptions {
    if let NatsLogin::None = login {
        return ConnectOptions::new();
    }
    let login = Arc::new(login.clone());
    ConnectOptions::with_auth_callback(move |nonce| {
        let login = Arc::clone(&login);
        async move { login.prove(&nonce).map(auth).map_err(AuthError::new) }
    })
}

fn auth(proof: NatsProof) -> Auth {
    let NatsProof {
        user,
        token,
        jwt,
        nkey,
        signature,
    } = proof;
    let mut auth = Auth::new();
    if let Some((user, password)) = user {
        auth.username = Some(user);
        auth.password = Some(password.expose_secret().to_owned());
    }
    auth.token = token.map(|token| token.expose_secret().to_owned());
    auth.jwt = jwt;
    auth.nkey = nkey;
    auth.signature = signature;
    auth
}

fn secured(mut options: ConnectOptions, tls: &NatsTls) -> ConnectOptions {
    let NatsTls {
        required,
        first,
        ca_file,
        client,
    } = tls;
    options = options.require_tls(*required);
    if *first {
        options = options.tls_first();
    }
    if let Some(file) = ca_file {
        options = options.add_root_certificates(file.clone());
    }
    if let Some((certificate, key)) = client {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    options
}

fn report(event: &Event) {
    match event {
        Event::Connected => info!(dependency = "nats", "connected to NATS"),
        Event::Disconnected => warn!(dependency = "nats", "connection to NATS lost, reconnecting"),
        Event::SlowConsumer(_) => {
            warn!("NATS messages were dropped before they were read; they are read again");
        }
        // This would be one line per attempt: the waiting stage logs once a minute instead.
        other => debug!(dependency = "nats", "{other}"),
    }
}
