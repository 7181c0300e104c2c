//! The bare clients that the comparison of protocols measures.
//!
//! Owns the spread of their calls over connections. Their settings are those of the worker's client, but for the protocol.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use reqwest::{Client, Method, Version, redirect};

use crate::protocol_server::Server;

const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an access token of a machine-to-machine client.
const TOKEN_BYTES: usize = 900;
/// The body of a usual write.
const PATCH: &str = r#"{"app_metadata":{"roles":["beta_tester","playlist_editor"]}}"#;

/// How a client speaks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    /// HTTP/2 as a client has it without further effort: one connection, on which calls wait for a stream.
    OneConnection,
    /// HTTP/2 with at most half of the streams that the server allows, and as many connections as that needs.
    ManyConnections,
}

impl Protocol {
    pub(crate) const ALL: [Self; 3] = [Self::Http1, Self::OneConnection, Self::ManyConnections];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::OneConnection => "HTTP/2, one connection",
            Self::ManyConnections => "HTTP/2, 50 streams each",
        }
    }

    /// Calls that one client has in flight at most.
    fn most_in_flight(self) -> usize {
        match self {
            Self::Http1 | Self::OneConnection => usize::MAX,
            Self::ManyConnections => 50,
        }
    }

    fn version(self) -> Version {
        match self {
            Self::Http1 => Version::HTTP_11,
            Self::OneConnection | Self::ManyConnections => Version::HTTP_2,
        }
    }
}

/// Calls to a server. A client of HTTP/2 has one connection, so more of them mean more clients.
#[derive(Debug)]
pub(crate) struct Clients {
    protocol: Protocol,
    certificate: reqwest::Certificate,
    url: String,
    token: String,
    /// Each with the number of its calls in flight.
    open: Mutex<Vec<(Client, usize)>>,
}

impl Clients {
    pub(crate) fn new(protocol: Protocol, server: &Server) -> Self {
        Self {
            protocol,
            certificate: server.certificate.clone(),
            url: format!("https://{}/api/v2/users/auth0%7Cowner", server.address),
            token: "t".repeat(TOKEN_BYTES),
            open: Mutex::default(),
        }
    }

    /// Reads or writes a user, in turns, and reads the whole response.
    pub(crate) async fn call(&self, number: usize, write: bool) -> Result<()> {
        let (at, client) = self.take()?;
        let done = self.exchange(&client, number, write).await;
        self.lock()[at].1 -= 1;
        done
    }

    async fn exchange(&self, client: &Client, number: usize, write: bool) -> Result<()> {
        let method = if write { Method::PATCH } else { Method::GET };
        let mut request = client.request(method, format!("{}{number}", self.url));
        request = request.bearer_auth(&self.token);
        if write {
            request = request.header("content-type", "application/json").body(PATCH);
        }
        let response = request.send().await?.error_for_status()?;
        let version = response.version();
        anyhow::ensure!(version == self.protocol.version(), "a response by {version:?}");
        response.bytes().await?;
        Ok(())
    }

    /// Returns the first client with room for a call, or a new one.
    fn take(&self) -> Result<(usize, Client)> {
        let mut clients = self.lock();
        let most = self.protocol.most_in_flight();
        let free = clients.iter().position(|(_, in_flight)| *in_flight < most);
        let at = free.unwrap_or(clients.len());
        if free.is_none() {
            clients.push((self.build()?, 0));
        }
        let (client, in_flight) = &mut clients[at];
        *in_flight += 1;
        Ok((at, client.clone()))
    }

    fn build(&self) -> Result<Client> {
        let builder = Client::builder()
            .user_agent(concat!("rolekeeper/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .tls_certs_only([self.certificate.clone()]);
        let builder = if self.protocol == Protocol::Http1 {
            builder.http1_only()
        } else {
            builder.http2_prior_knowledge()
        };
        Ok(builder.build()?)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Client, usize)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
