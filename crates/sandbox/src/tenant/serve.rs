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
pub(super) struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    /// Connections in their TLS handshake; `None` for a failed one.
    handshakes: JoinSet<Option<(Wire, SocketAddr)>>,
    closed: CancellationToken,
}

/// A plain or an encrypted connection.
type Wire = Either<TcpStream, Box<TlsStream<TcpStream>>>;

impl Door {
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
    async fn next(&mut self) -> (Wire, SocketAddr) {
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

impl Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (wire, address) = self.next().await;
        let closed = Box::pin(self.closed.clone().cancelled_owned());
        (
            Line {
                wire,
                cut: Cut::default(),
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
pub(super) struct Cut(Arc<AtomicBool>);

impl Cut {
    /// Stops all writes; the next attempt to write ends the connection with a reset.
    pub(super) fn now(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_cut(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, Door>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().cut.clone()
    }
}

/// One connection.
pub(super) struct Line {
    wire: Wire,
    cut: Cut,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Line {
    fn whole(&self) -> io::Result<()> {
        if self.cut.is_cut() {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.cut.is_cut() {
            let stream = match &self.wire {
                Either::Left(stream) => stream,
                Either::Right(stream) => stream.get_ref().0,
            };
            let _ = stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.wire).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.whole()?;
        Pin::new(&mut self.wire).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole()?;
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A connection that is reset must not send a TLS close before.
        self.whole()?;
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
