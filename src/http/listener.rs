//! A listener: accepts connections and serves HTTP/1 on them.
//!
//! Owns the number of open connections, the time limit of each part of a request, and a clean stop. Connections above the
//! limit wait in the kernel's queue. Must never drop a handler because its client disconnected: each handler is a task that
//! runs to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, debug, error, warn};

use super::body::Guarded;
use super::phase::Phase;
use super::stream::Watched;

/// Delay after the system refused a connection, for example because no file descriptor is free.
const REFUSED_DELAY: Duration = Duration::from_millis(200);

/// Largest header of a request, and most bytes that are read at once. Every client may fill it without a token, on each connection: all
/// of them together take 32 MiB. The largest access token has 16 KiB.
const MAX_HEADER_BYTES: usize = 32 << 10;

/// State that all connections of a listener share.
#[derive(Clone)]
struct Shared {
    routes: TowerToHyperService<Router>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Serves until `stop`, then finishes the requests in flight. At most `connections` are open at once.
///
/// # Errors
/// None.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    connections: usize,
    stop: CancellationToken,
) -> io::Result<()> {
    let shared = Shared {
        routes: TowerToHyperService::new(routes),
        slots: Arc::new(Semaphore::new(connections)),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
    };
    stop.run_until_cancelled(shared.accept(&listener)).await;
    drop(listener);
    shared.tasks.close();
    shared.tasks.wait().await;
    Ok(())
}

impl Shared {
    async fn accept(&self, listener: &TcpListener) {
        // The semaphore is never closed.
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = self.clone().connection(stream, slot);
                    self.tasks.spawn(connection.instrument(Span::current()));
                }
                Err(why) if is_of_the_client(&why) => {}
                Err(why) => {
                    warn!("a connection was not accepted, retrying: {why}");
                    sleep(REFUSED_DELAY).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, _slot: OwnedSemaphorePermit) {
        // A response must not wait for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let (phase, mut phases) = watch::channel(Phase::Header(Instant::now()));
        let service = service_fn(|request| self.respond(request, &phase));
        let stream = TokioIo::new(Watched::new(stream, phase.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(stream, service);
        tokio::pin!(connection);
        let mut stopped = None;
        loop {
            let ends = phases.borrow_and_update().ends(stopped);
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(why) = ended {
                        debug!("a connection was lost: {why}");
                    }
                    return;
                }
                changed = phases.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until(ends) => {
                    debug!("a connection was closed: its client was too slow");
                    return;
                }
                () = self.stop.cancelled(), if stopped.is_none() => {
                    stopped = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Returns the response to one request. The handler runs as a task, so that a client that disconnects does not end it.
    async fn respond(
        &self,
        request: Request<Incoming>,
        phase: &watch::Sender<Phase>,
    ) -> Result<Response<Body>, std::convert::Infallible> {
        phase.send_replace(Phase::Response(Instant::now()));
        let request = request.map(|body| Guarded::body(body, self.stop.clone()));
        let handler = self.routes.call(request).instrument(Span::current());
        let mut response = match self.tasks.spawn(handler).await {
            Ok(Ok(response)) => response,
            Err(why) => {
                error!(
                    "a handler failed, its request gets status 500 and all other requests continue: {why}"
                );
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        // Other clients wait for a free connection.
        if self.slots.available_permits() == 0 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        phase.send_replace(Phase::Idle(Instant::now()));
        Ok(response)
    }
}

/// Returns whether a connection was lost before it was accepted.
fn is_of_the_client(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn fault() -> &'static str {
        panic!("a fault of the program")
    }

    #[tokio::test]
    async fn l17_a_handler_that_panics_fails_its_own_request_only() {
        let routes = Router::new()
            .route("/broken", get(|| async { fault() }))
            .route("/", get(|| async { "well" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(serve(listener, routes, 2, stop.clone()));
        for (path, status) in [("/broken", "500"), ("/", "200"), ("/broken", "500")] {
            let mut client = TcpStream::connect(address).await.expect("a connection");
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).await.expect("it is written");
            let mut response = String::new();
            client.read_to_string(&mut response).await.expect("a response");
            assert_eq!(response.split(' ').nth(1), Some(status), "{path}");
        }
        stop.cancel();
        let ended = serving.join_next().await.expect("it was started");
        ended.expect("no panic").expect("in order");
    }
}
