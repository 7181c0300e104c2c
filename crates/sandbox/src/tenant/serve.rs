//! The tenant's listening socket, and how a connection is cut.
//!
//! Owns accepting connections on loopback, with TLS around them where asked for. A connection that is cut
//! ends with a reset (RST), as a broken network looks to a client; all end when the tenant goes.

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

/// A client that has not finished its handshake by then is left standing.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(10);

/// The way in.
pub(super) struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    /// Connections on their way to being encrypted; `None` for one that did not come through.
    handshakes: JoinSet<Option<(Wire, SocketAddr)>>,
    closed: CancellationToken,
}

/// Plain, or encrypted.
type Wire = Either<TcpStream, Box<TlsStream<TcpStream>>>;

impl Door {
    /// Once `closed` is cancelled, its connections end.
    pub(super) fn new(listener: TcpListener, tls: Option<TlsAcceptor>, closed: CancellationToken) -> Self {
        Self {
            listener,
            tls,
            handshakes: JoinSet::new(),
            closed,
        }
    }

    /// The next connection that is ready to be spoken on. A slow handshake holds nobody else up.
    async fn next(&mut self) -> (Wire, SocketAddr) {
        loop {
            tokio::select! {
                // axum's own listener waits and tries again when the process is out of descriptors.
                (stream, address) = Listener::accept(&mut self.listener) => {
                    // Small answers must not wait for the client's delayed acknowledgement.
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

/// Cuts the connection that a request came on.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut(Arc<AtomicBool>);

impl Cut {
    /// Nothing more is written; the next attempt to ends the connection with a reset.
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
        // A cut connection must not say goodbye first.
        self.whole()?;
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
