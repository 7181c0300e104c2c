//! The tenant's listening socket, and the reset of connections.
//!
//! Owns accepting connections on loopback, with TLS where requested. A reset (RST) looks to a client like a broken network;
//! all connections end with the tenant.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Time after which a client without a finished handshake is dropped.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(10);

/// The listener.
pub(super) struct TenantListener {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    /// Connections in their TLS handshake; `None` for a failed one.
    handshakes: JoinSet<Option<(Transport, SocketAddr)>>,
    closed: CancellationToken,
}

/// A plain or an encrypted connection.
type Transport = Either<TcpStream, Box<TlsStream<TcpStream>>>;

impl TenantListener {
    /// Returns a listener whose connections end when `closed` is cancelled.
    pub(super) fn new(listener: TcpListener, tls: Option<TlsAcceptor>, closed: CancellationToken) -> Self {
        Self {
            listener,
            tls,
            handshakes: JoinSet::new(),
            closed,
        }
    }

    /// Returns the next usable connection. A slow handshake does not delay other clients.
    async fn next(&mut self) -> (Transport, SocketAddr) {
        loop {
            tokio::select! {
                // axum's own listener waits and retries when the process is out of descriptors.
                (stream, address) = Listener::accept(&mut self.listener) => {
                    // Small responses must not wait for the client's delayed acknowledgement.
                    let _ = stream.set_nodelay(true);
                    let Some(tls) = self.tls.clone() else {
                        return (Either::Left(stream), address);
                    };
                    self.handshakes.spawn(async move {
                        let done = tokio::time::timeout(HANDSHAKE_BOUND, tls.accept(stream)).await;
                        Some((Either::Right(Box::new(done.ok()?.ok()?)), address))
                    });
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
            }
        }
    }
}

impl Listener for TenantListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (transport, address) = self.next().await;
        let closed = Box::pin(self.closed.clone().cancelled_owned());
        (
            Connection {
                transport,
                reset: Reset::default(),
                closed,
            },
            address,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Resets the connection of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Reset(Arc<AtomicBool>);

impl Reset {
    /// Stops all writes; the next attempt to write ends the connection with a reset.
    pub(super) fn now(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_reset(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, TenantListener>> for Reset {
    fn connect_info(stream: IncomingStream<'_, TenantListener>) -> Self {
        stream.io().reset.clone()
    }
}

/// One connection.
pub(super) struct Connection {
    transport: Transport,
    reset: Reset,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    fn whole(&self) -> io::Result<()> {
        if self.reset.is_reset() {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.reset.is_reset() {
            let stream = match &self.transport {
                Either::Left(stream) => stream,
                Either::Right(stream) => stream.get_ref().0,
            };
            let _ = stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.transport).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.whole()?;
        Pin::new(&mut self.transport).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole()?;
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A connection that is reset must not send a TLS close before.
        self.whole()?;
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
