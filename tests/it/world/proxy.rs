//! A TCP proxy between the worker and one server, which simulates network faults.
//!
//! Owns cutting, refusing, delaying, holding, going silent, freezing, leading elsewhere, and losing the response to a COMMIT. Must never
//! change a byte that it forwards.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The place where a COMMIT is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lose {
    /// The server never receives it.
    Commit,
    /// The server has responded; the client never receives the response.
    Answer,
}

#[derive(Debug)]
struct Shared {
    server: Mutex<SocketAddr>,
    refusing: AtomicBool,
    frozen: AtomicBool,
    delay_ms: AtomicU64,
    connections: AtomicUsize,
    refused: AtomicUsize,
    answers_lost: AtomicUsize,
    /// Requests with these bytes wait.
    holding: Mutex<Option<&'static [u8]>>,
    held: AtomicUsize,
    lose: Mutex<Option<Lose>>,
    /// A cut cancels it; a new one follows.
    cut: Mutex<CancellationToken>,
    /// The silence of connections cancels it; a new one follows.
    silent: Mutex<CancellationToken>,
}

/// A running proxy; closes its connections when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    closed: CancellationToken,
}

impl Proxy {
    /// Forwards connections to `server`, on a free port of 127.0.0.1.
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (shared, closed) = (Arc::new(Shared::new(server)), CancellationToken::new());
        let (state, stop, tasks) = (Arc::clone(&shared), closed.clone(), TaskTracker::new());
        tasks.clone().spawn(async move {
            while let Some(Ok((client, _))) = stop.run_until_cancelled(listener.accept()).await {
                let (state, stop) = (Arc::clone(&state), stop.clone());
                tasks.spawn(async move { stop.run_until_cancelled(state.connection(client)).await });
            }
        });
        Self {
            address,
            shared,
            closed,
        }
    }

    /// Its own port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections forwarded so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Connections refused so far.
    pub(crate) fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// From now on forwards connections to another server, and resets those to the former one.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *self.shared.server() = server;
        self.cut();
    }

    /// Resets every connection; new ones are accepted.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.shared.cut()).cancel();
    }

    /// Every connection goes silent and stays open, as after the loss of a host or a route; new ones are accepted.
    pub(crate) fn go_silent(&self) {
        std::mem::take(&mut *self.shared.silent()).cancel();
    }

    /// Resets every connection, and each new one, until [`Self::restore`].
    pub(crate) fn refuse(&self) {
        self.shared.refusing.store(true, Ordering::Relaxed);
        self.cut();
    }

    /// Every connection goes silent and stays open, and each new one is reset, until [`Self::restore`].
    pub(crate) fn vanish(&self) {
        self.shared.refusing.store(true, Ordering::Relaxed);
        self.go_silent();
    }

    /// Every connection goes silent and stays open, and so does each new one until [`Self::restore`], as at a server that is frozen.
    pub(crate) fn freeze(&self) {
        self.shared.frozen.store(true, Ordering::Relaxed);
        self.go_silent();
    }

    /// Accepts connections again, without delay. Those that are silent stay so.
    pub(crate) fn restore(&self) {
        self.shared.refusing.store(false, Ordering::Relaxed);
        self.shared.frozen.store(false, Ordering::Relaxed);
        self.delay(Duration::ZERO);
    }

    /// From now on each response of the server takes this much longer.
    pub(crate) fn delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(delay, Ordering::Relaxed);
    }

    /// The next COMMIT on any connection is lost at the given place, and its connection with it.
    pub(crate) fn lose_next_commit(&self, what: Lose) {
        *self.shared.lose() = Some(what);
    }

    /// Returns true if that has happened.
    pub(crate) fn has_lost_it(&self) -> bool {
        self.shared.lose().is_none()
    }

    /// Requests with these bytes wait before the server, until [`Self::let_go`].
    pub(crate) fn hold(&self, bytes: &'static [u8]) {
        *self.shared.holding() = Some(bytes);
    }

    /// Requests that were held so far.
    pub(crate) fn held(&self) -> usize {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// Forwards the held bytes, also if the client has disconnected.
    pub(crate) fn let_go(&self) {
        *self.shared.holding() = None;
    }

    /// Responses of the server to COMMIT that the client did not receive.
    pub(crate) fn answers_lost(&self) -> usize {
        self.shared.answers_lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

impl Shared {
    fn new(server: SocketAddr) -> Self {
        Self {
            server: Mutex::new(server),
            refusing: AtomicBool::default(),
            frozen: AtomicBool::default(),
            delay_ms: AtomicU64::default(),
            connections: AtomicUsize::default(),
            refused: AtomicUsize::default(),
            answers_lost: AtomicUsize::default(),
            holding: Mutex::default(),
            held: AtomicUsize::default(),
            lose: Mutex::default(),
            cut: Mutex::default(),
            silent: Mutex::default(),
        }
    }

    fn server(&self) -> std::sync::MutexGuard<'_, SocketAddr> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silent(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self) -> std::sync::MutexGuard<'_, Option<Lose>> {
        self.lose.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holding(&self) -> std::sync::MutexGuard<'_, Option<&'static [u8]>> {
        self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_held(&self, bytes: &[u8]) -> bool {
        let holding = *self.holding();
        holding.is_some_and(|held| bytes.windows(held.len()).any(|some| some == held))
    }

    async fn connection(&self, client: TcpStream) {
        let (cut, silent) = (self.cut().clone(), self.silent().clone());
        // A zero linger makes the close a reset, as after the loss of a host or at a firewall.
        let _ = client.set_zero_linger();
        if self.refusing.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if self.frozen.load(Ordering::Relaxed) {
            cut.cancelled().await;
            return;
        }
        let server = *self.server();
        let Ok(server) = TcpStream::connect(server).await else {
            return;
        };
        self.connections.fetch_add(1, Ordering::Relaxed);
        let _ = (
            client.set_nodelay(true),
            server.set_nodelay(true),
            server.set_zero_linger(),
        );
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let answer_is_lost = AtomicBool::new(false);
        tokio::select! {
            () = cut.cancelled() => {}
            () = self.requests(from_client, to_server, (&silent, &answer_is_lost)) => {}
            () = self.answers(from_server, to_client, (&silent, &answer_is_lost)) => {}
        }
    }

    async fn requests(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        (silent, answer_is_lost): (&CancellationToken, &AtomicBool),
    ) {
        let mut bytes = vec![0; 64 << 10];
        while let Some(Ok(read @ 1..)) = silent.run_until_cancelled(from.read(&mut bytes)).await {
            if bytes[..read].windows(6).any(|six| six == b"COMMIT") {
                match self.lose().take() {
                    Some(Lose::Commit) => return,
                    Some(Lose::Answer) => answer_is_lost.store(true, Ordering::Relaxed),
                    None => {}
                }
            }
            if self.is_held(&bytes[..read]) {
                self.held.fetch_add(1, Ordering::Relaxed);
                while self.is_held(&bytes[..read]) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            if to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
        stay_open_if(silent).await;
    }

    async fn answers(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        (silent, answer_is_lost): (&CancellationToken, &AtomicBool),
    ) {
        let mut bytes = vec![0; 64 << 10];
        while let Some(Ok(read @ 1..)) = silent.run_until_cancelled(from.read(&mut bytes)).await {
            if answer_is_lost.load(Ordering::Relaxed) {
                // CommandComplete of a COMMIT, so it was done.
                let done = bytes[..read].windows(7).any(|seven| seven == b"COMMIT\0");
                self.answers_lost.fetch_add(usize::from(done), Ordering::Relaxed);
                return;
            }
            let delay = self.delay_ms.load(Ordering::Relaxed);
            if delay > 0 {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            if to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
        stay_open_if(silent).await;
    }
}

/// Both ends stay open, and nothing more comes through.
async fn stay_open_if(silent: &CancellationToken) {
    if silent.is_cancelled() {
        std::future::pending::<()>().await;
    }
}
